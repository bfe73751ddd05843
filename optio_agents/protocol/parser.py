"""Parse one line of the log into one event, in linear time and without exceptions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

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
    UnknownLine,
)
from optio_agents.protocol.features import DEFAULT_FEATURES, ProtocolFeatures
from optio_agents.protocol.keywords import enabled_keywords
from optio_agents.protocol.paths import (
    DELIVERABLES_SUBDIR,
    relativize_deliverable_path,
    validate_deliverable_path,
)

__all__ = [
    "AttentionEvent",
    "BrowserEvent",
    "CallerMessageEvent",
    "ClientMessageEvent",
    "DELIVERABLES_SUBDIR",
    "DeliverableEvent",
    "DoneEvent",
    "ErrorEvent",
    "LogEvent",
    "StatusEvent",
    "UnknownLine",
    "line_parser",
    "parse_log_line",
    "relativize_deliverable_path",
    "validate_deliverable_path",
]


def parse_log_line(line: str, *, features: ProtocolFeatures = DEFAULT_FEATURES) -> LogEvent:
    """Say what one line of the log means.

    Args:
        line: with or without its newline; trailing whitespace does not count.
        features: which of the optional keywords are enabled.

    Returns:
        Exactly one event; `UnknownLine` for text that matches no keyword. Never raises, for any text.
    """
    return line_parser(features)(line)


@lru_cache(maxsize=64)
def line_parser(features: ProtocolFeatures) -> Callable[[str], LogEvent]:
    """`parse_log_line` for one set of features, with its table looked up once."""
    table = {keyword.name: keyword for keyword in enabled_keywords(features)}
    longest = max(map(len, table))

    def parse(line: str) -> LogEvent:
        text = line.rstrip()
        # A keyword ends at the first colon or fills the line, so the search is short.
        colon = text.find(":", 0, longest + 1)
        name = text[: longest + 1] if colon < 0 else text[:colon]
        keyword = table.get(name)
        if keyword is None or (colon < 0 and not keyword.bare) or "\n" in text:
            return UnknownLine(text)
        event = keyword.read(text[len(name) + 1 :].lstrip())
        return UnknownLine(text) if event is None else event

    return parse
