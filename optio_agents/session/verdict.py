"""The only place where a session's outcome is decided: sans-IO, from one ordered sequence of facts.

The table follows two rules. DONE and ERROR count by their place in the log, even if the reader is late: after the body
ends, the log is read to its end before the outcome is judged. And a decision is final: later facts are recorded beside
it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from optio_agents.session.outcome import Ending


@dataclass(frozen=True, slots=True)
class DoneSeen:
    """The log contains DONE."""

    summary: str | None


@dataclass(frozen=True, slots=True)
class ErrorSeen:
    """The log contains ERROR."""

    message: str | None


@dataclass(frozen=True, slots=True)
class BodyEnded:
    """The body returned (`error` is `None`) or raised."""

    error: BaseException | None


@dataclass(frozen=True, slots=True)
class LogEnded:
    """After the body's end the log was read to its end."""


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """optio asked the session to end."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """User code raised an exception that must not be swallowed (SystemExit, KeyboardInterrupt)."""

    error: BaseException


Fact: TypeAlias = DoneSeen | ErrorSeen | BodyEnded | LogEnded | CancelAsked | Trouble


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the session ends. `error` is the exception object that the caller will see, if any."""

    ending: Ending
    message: str | None = None
    error: BaseException | None = None

    @property
    def drains(self) -> bool:
        """Whether earlier announcements are still fetched, passed on and answered. Not after a request to exit."""
        if self.error is not None and not isinstance(self.error, Exception):
            return False
        return self.ending in (Ending.DONE, Ending.ERROR, Ending.BODY_ENDED, Ending.BODY_FAILED)


class Phase(enum.Enum):
    """The state of the judgement."""

    RUNNING = "running"
    READING_REST = "reading the rest of the log"
    DECIDED = "decided"


class Judge:
    """Receives facts in order; `verdict` is `None` until one of them decides.

    Attributes:
        phase: see `Phase`. In `READING_REST`, the reader must be told that nothing more will be written.
        raised: every exception among the facts, in order of arrival.
        cancel_asked: optio requested the end, before or after the verdict.
    """

    def __init__(self) -> None:
        self.phase = Phase.RUNNING
        self.verdict: Verdict | None = None
        self.raised: list[BaseException] = []
        self.cancel_asked = False
        self._body: BodyEnded | None = None

    def hear(self, fact: Fact) -> None:
        """Take one fact into account."""
        self.cancel_asked = self.cancel_asked or isinstance(fact, CancelAsked)
        if isinstance(fact, BodyEnded | Trouble) and fact.error is not None:
            self.raised.append(fact.error)
        if self.phase is Phase.DECIDED:
            return
        match fact:
            case DoneSeen(summary):
                self._decide(Verdict(Ending.DONE, summary))
            case ErrorSeen(message):
                self._decide(Verdict(Ending.ERROR, message or "agent reported ERROR"))
            case CancelAsked():
                self._decide(Verdict(Ending.CANCELLED, "cancelled by optio"))
            case Trouble(error):
                self._decide(Verdict(Ending.FAILED, repr(error), error))
            case BodyEnded(error) if error is not None and not isinstance(error, Exception):
                self._decide(Verdict(Ending.BODY_FAILED, repr(error), error))
            case BodyEnded():
                self._body = fact
                self.phase = Phase.READING_REST
            case LogEnded():
                self._judge_body()

    def forget(self) -> None:
        """Release the exceptions after the conclusion."""
        self.raised.clear()
        self.verdict = self._body = None

    @property
    def body_error(self) -> Exception | None:
        """What the body raised, while the rest of the log is read."""
        error = None if self._body is None else self._body.error
        return error if isinstance(error, Exception) else None

    @property
    def others(self) -> list[BaseException]:
        """The exceptions that did not decide."""
        decided = None if self.verdict is None else self.verdict.error
        return [error for error in self.raised if error is not decided]

    def _judge_body(self) -> None:
        body, self._body = self._body, None
        if body is None or body.error is None:
            self._decide(
                Verdict(
                    Ending.BODY_ENDED,
                    "body returned before DONE: the log has neither DONE nor ERROR",
                )
            )
        else:
            self._decide(Verdict(Ending.BODY_FAILED, repr(body.error), body.error))

    def _decide(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.phase = Phase.DECIDED
