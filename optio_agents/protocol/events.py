"""What a line of the log means: one frozen value per kind of line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """`STATUS:` progress; `percent` is 0 to 100, or `None` when the line has no percentage."""

    percent: int | None
    message: str


@dataclass(frozen=True, slots=True)
class DeliverableEvent:
    """`DELIVERABLE:` a file is ready; `path` is what the agent wrote, not validated yet."""

    path: str


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """`DONE` the agent has finished; `summary` is `None` when the line has none."""

    summary: str | None


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """`ERROR` the agent has given up; `message` is `None` when the line has no reason."""

    message: str | None


@dataclass(frozen=True, slots=True)
class BrowserEvent:
    """`BROWSER:` a person should open `url`."""

    url: str


@dataclass(frozen=True, slots=True)
class AttentionEvent:
    """`ATTENTION:` a human is needed, for `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class ClientMessageEvent:
    """`CLIENT_MESSAGE:` JSON `data` under a `keyword`, for the user interface."""

    keyword: str
    data: object


@dataclass(frozen=True, slots=True)
class CallerMessageEvent:
    """`CALLER_MESSAGE:` JSON `data` under a `keyword`, for the program that started the session."""

    keyword: str
    data: object


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """Any other line, without its trailing whitespace."""

    text: str


LogEvent = (
    StatusEvent
    | DeliverableEvent
    | DoneEvent
    | ErrorEvent
    | BrowserEvent
    | AttentionEvent
    | ClientMessageEvent
    | CallerMessageEvent
    | UnknownLine
)
"""Exactly one of these for every line."""
