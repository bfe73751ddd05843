"""The table of keywords: how each is read, when it is enabled, and its documentation for agents.

The parser, the scanner, the near-miss hints and the documentation for agents are all generated from `KEYWORDS`,
so that they cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optio_agents.protocol.events import (
    AttentionEvent,
    BrowserEvent,
    CallerMessageEvent,
    ClientMessageEvent,
    DeliverableEvent,
    DoneEvent,
    ErrorEvent,
    LogEvent,
    StatusEvent,
)
from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.payload import read_json

Reader = Callable[[str], LogEvent | None]
"""Reads the text after the colon, stripped at both ends. `None` means that the line does not match."""

_PERCENT_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A line to imitate, the event that it parses to, and a description of its effect."""

    line: str
    event: LogEvent
    effect: str


@dataclass(frozen=True, slots=True)
class Keyword:
    """One row of the table.

    `bare` keywords also count without a colon. `needs` says what must follow the keyword, as part of a hint.
    """

    name: str
    read: Reader
    forms: tuple[str, ...]
    meaning: str
    examples: tuple[Example, ...]
    needs: str
    bare: bool = False
    enabled: Callable[[ProtocolFeatures], bool] = lambda features: True


def _read_status(rest: str) -> LogEvent:
    end = rest.find("%", 0, _PERCENT_DIGITS + 1)
    digits = rest[: max(end, 0)]
    if digits.isascii() and digits.isdigit() and rest[end + 1 : end + 2].isspace():
        return StatusEvent(min(int(digits), 100), rest[end + 1 :].lstrip())
    return StatusEvent(None, rest)


def _read_deliverable(rest: str) -> LogEvent | None:
    return DeliverableEvent(rest) if rest else None


def _read_done(rest: str) -> LogEvent:
    return DoneEvent(rest or None)


def _read_error(rest: str) -> LogEvent:
    return ErrorEvent(rest or None)


def _read_browser(rest: str) -> LogEvent | None:
    url = rest.strip('"')
    return BrowserEvent(url) if url else None


def _read_attention(rest: str) -> LogEvent | None:
    return AttentionEvent(rest) if rest else None


def _read_message(kind: type[ClientMessageEvent] | type[CallerMessageEvent]) -> Reader:
    def read(rest: str) -> LogEvent | None:
        parts = rest.split(None, 1)
        if len(parts) != 2:
            return None
        try:
            return kind(parts[0], read_json(parts[1]))
        except ValueError:
            return None

    return read


KEYWORDS: tuple[Keyword, ...] = (
    Keyword(
        name="STATUS",
        read=_read_status,
        forms=("STATUS: <text>", "STATUS: <percent>% <text>"),
        meaning=(
            "What you are doing now, in one short line. A percentage (a whole number from 0 to 100, then a"
            " percent sign, then a space) also moves the progress bar. Write a STATUS line at every step that"
            " a waiting person wants to know about."
        ),
        examples=(
            Example(
                "STATUS: Reading the existing tests",
                StatusEvent(None, "Reading the existing tests"),
                "shows `Reading the existing tests` and leaves the percentage open",
            ),
            Example(
                "STATUS: 40% Half of the modules are converted",
                StatusEvent(40, "Half of the modules are converted"),
                "shows `Half of the modules are converted` at `40` percent",
            ),
        ),
        needs="a text, or a percentage and a text",
    ),
    Keyword(
        name="DELIVERABLE",
        read=_read_deliverable,
        forms=("DELIVERABLE: <path>",),
        meaning=(
            "A file under `./deliverables/` is complete and ready to be fetched. See the section on"
            " deliverables below."
        ),
        examples=(
            Example(
                "DELIVERABLE: deliverables/report.md",
                DeliverableEvent("deliverables/report.md"),
                "hands over the file `deliverables/report.md`",
            ),
        ),
        needs="the path of a file under ./deliverables/",
    ),
    Keyword(
        name="DONE",
        read=_read_done,
        forms=("DONE", "DONE: <summary>"),
        meaning="All of the work is finished. The session ends successfully. No later line is read.",
        examples=(
            Example("DONE", DoneEvent(None), "ends the session"),
            Example(
                "DONE: All 12 modules are converted",
                DoneEvent("All 12 modules are converted"),
                "ends the session with the summary `All 12 modules are converted`",
            ),
        ),
        needs="nothing, or a colon and a summary",
        bare=True,
    ),
    Keyword(
        name="ERROR",
        read=_read_error,
        forms=("ERROR", "ERROR: <reason>"),
        meaning=(
            "The work cannot be finished, and you have stopped trying. The session ends as a failure. No"
            " later line is read. For a problem that you can work around, write a STATUS line instead."
        ),
        examples=(
            Example(
                "ERROR: The repository has no tests to convert",
                ErrorEvent("The repository has no tests to convert"),
                "fails the session with the reason `The repository has no tests to convert`",
            ),
        ),
        needs="nothing, or a colon and a reason",
        bare=True,
    ),
    Keyword(
        name="BROWSER",
        read=_read_browser,
        forms=("BROWSER: <url>",),
        meaning=(
            "A person should open this address in their own browser, for example to sign in. Programs that"
            " try to launch a browser here write this line for you."
        ),
        examples=(
            Example(
                "BROWSER: https://example.org/device?code=1234",
                BrowserEvent("https://example.org/device?code=1234"),
                "offers `https://example.org/device?code=1234` to the person who is watching",
            ),
        ),
        needs="an address",
        enabled=lambda features: features.browser == "redirect",
    ),
    Keyword(
        name="ATTENTION",
        read=_read_attention,
        forms=("ATTENTION: <reason>",),
        meaning=(
            "A person must look at this session because you cannot continue alone. Say what you need from them."
        ),
        examples=(
            Example(
                "ATTENTION: Please choose one of the two layouts in NOTES.md",
                AttentionEvent("Please choose one of the two layouts in NOTES.md"),
                "calls a person, with the reason `Please choose one of the two layouts in NOTES.md`",
            ),
        ),
        needs="a reason",
    ),
    Keyword(
        name="CLIENT_MESSAGE",
        read=_read_message(ClientMessageEvent),
        forms=("CLIENT_MESSAGE: <key> <json>",),
        meaning=(
            "Data for the user interface of this task: a one-word key, then one JSON value on the same line."
            " Use only the keys that your task names."
        ),
        examples=(
            Example(
                'CLIENT_MESSAGE: chart {"points": [1, 4, 9]}',
                ClientMessageEvent("chart", {"points": [1, 4, 9]}),
                'sends `{"points": [1, 4, 9]}` to the user interface under the key `chart`',
            ),
        ),
        needs="a key, a space and one JSON value on the same line",
        enabled=lambda features: features.client_messages,
    ),
    Keyword(
        name="CALLER_MESSAGE",
        read=_read_message(CallerMessageEvent),
        forms=("CALLER_MESSAGE: <key> <json>",),
        meaning=(
            "Data for the program that started you: a one-word key, then one JSON value on the same line."
            " Use only the keys that your task names. If there is an answer, it comes as a message from the"
            " harness."
        ),
        examples=(
            Example(
                'CALLER_MESSAGE: lookup {"ticket": 4711}',
                CallerMessageEvent("lookup", {"ticket": 4711}),
                'sends `{"ticket": 4711}` to the program under the key `lookup`',
            ),
        ),
        needs="a key, a space and one JSON value on the same line",
        enabled=lambda features: features.caller_messages,
    ),
)
"""In the order of the documentation, which is also the published order of precedence. No two keywords match the
same line, so the order does not affect parsing."""


def enabled_keywords(features: ProtocolFeatures) -> tuple[Keyword, ...]:
    """The rows that count under these features, in order."""
    return tuple(keyword for keyword in KEYWORDS if keyword.enabled(features))
