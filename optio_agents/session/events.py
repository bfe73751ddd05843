"""The events that a synchronous observer (`SessionOptions.on_event`) gets while a session runs; frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from optio_agents.session.outcome import DeliverableRecord, SessionOutcome


@dataclass(frozen=True, slots=True)
class ProgressReported:
    """`ctx.report_progress(percent, message)` was called."""

    percent: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class DeliverableSettled:
    """One DELIVERABLE line has got its one reply."""

    record: DeliverableRecord


@dataclass(frozen=True, slots=True)
class AttentionAsked:
    """The agent wants a human."""

    reason: str


@dataclass(frozen=True, slots=True)
class BrowserAsked:
    """The agent wants a browser opened."""

    url: str


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """The agent sent something to the dashboard's client."""

    keyword: str
    data: Any


@dataclass(frozen=True, slots=True)
class CallerMessage:
    """The agent sent something to the caller's callback."""

    keyword: str
    data: Any


@dataclass(frozen=True, slots=True)
class MessageSent:
    """The session sent a message to the agent; `delivered` is false if that failed."""

    text: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class ProblemReported:
    """Something went wrong that did not end the session."""

    text: str


@dataclass(frozen=True, slots=True)
class LineHinted:
    """A line was probably meant as a keyword; the agent gets this hint."""

    line: str
    hint: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event: how the session ended."""

    outcome: SessionOutcome


SessionEvent: TypeAlias = (
    ProgressReported
    | DeliverableSettled
    | AttentionAsked
    | BrowserAsked
    | ClientMessage
    | CallerMessage
    | MessageSent
    | ProblemReported
    | LineHinted
    | Ended
)
