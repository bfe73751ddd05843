"""How a session ended: the value that `run_log_protocol_session` returns or attaches to its exception."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from optio_agents.protocol.rejections import RejectionKind


class Ending(enum.Enum):
    """The one way in which a session ended."""

    DONE = "done"
    """The agent wrote DONE."""

    ERROR = "error"
    """The agent wrote ERROR."""

    BODY_ENDED = "body-ended"
    """The body returned, and the complete log contained neither DONE nor ERROR."""

    BODY_FAILED = "body-failed"
    """The body raised, and the log contained neither DONE nor ERROR."""

    CANCELLED = "cancelled"
    """optio requested the end, or the caller cancelled."""

    FAILED = "failed"
    """The session itself or its environment failed: setup, a hook, the log, an actor."""


@dataclass(frozen=True, slots=True)
class DeliverableRecord:
    """The result of one DELIVERABLE line."""

    path: str
    """As announced, relative to the deliverables directory where it could be resolved."""

    accepted: bool
    """It was read and passed to the callback, which accepted it."""

    reply: str
    """The reply to the agent, also if the agent has no input channel."""

    kind: RejectionKind | None = None
    """Why it was refused before any callback saw it."""

    failed: bool = False
    """The callback raised, or the harness failed. Not the agent's fault."""

    size: int | None = None
    """Bytes, once read."""

    sha256: str | None = None
    """Hexadecimal digest of the bytes that were passed on."""

    error: BaseException | None = None
    """The exception, if `failed`. Its traceback names each line, without local variables."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that each phase of the session took; `None` for one that was not reached."""

    setup: float | None = None
    run: float | None = None
    drain: float | None = None
    teardown: float | None = None


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """Everything that is known about an ended session."""

    ending: Ending
    message: str | None = None
    """The summary of DONE, the message of ERROR, or the reason of any other ending."""

    deliverables: tuple[DeliverableRecord, ...] = ()
    deliverable_count: int = 0
    """How many DELIVERABLE lines were settled; `deliverables` keeps the first thousand and the last."""

    problems: tuple[str, ...] = ()
    """Problems that did not end the session (at most a hundred, then a count)."""

    abandoned: tuple[str, ...] = ()
    """User code that ignored its cancellation and was abandoned: name and place."""

    lines: int = 0
    """Non-blank lines of the log that were handled."""

    cut_lines: int = 0
    """Lines that were longer than the limit and were cut."""

    lost_bytes: int = 0
    """Bytes of the log that were truncated before they could be read."""

    unsettled: int = 0
    """Announcements, and messages to the agent, that a drain deadline, a cancellation or a failure cut off."""

    timings: Timings = Timings()

    @property
    def rejected(self) -> tuple[DeliverableRecord, ...]:
        """Deliverables that were not accepted and not delivered again later under the same path."""
        last: dict[str, DeliverableRecord] = {}
        for record in self.deliverables:
            last[record.path] = record
        return tuple(record for record in last.values() if not record.accepted)


class SessionFailed(Exception):  # noqa: N818 - the name that callers know
    """The session ended as a failure: ERROR, the body's end before DONE, or a failure of the session itself.

    `outcome` has the details. Further exceptions (the body's cleanup, after_execute) are notes on this one and
    members of its `__context__` or `others`, so that none is lost.
    """

    def __init__(self, message: str, outcome: SessionOutcome) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.others: tuple[BaseException, ...] = ()


class HostTimeout(SessionFailed):
    """The host did not finish a step within `SessionOptions.host_timeout`. The environment's fault; `step` names it."""

    def __init__(self, step: str, seconds: float) -> None:
        message = f"the host did not {step} within {seconds:g} s"
        super().__init__(message, SessionOutcome(Ending.FAILED, message))
        self.step = step
