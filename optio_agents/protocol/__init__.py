"""The log protocol: what an agent may write, and what each line means. Values and tables, no I/O.

    keywords   the one table: names, readers, documentation, examples
    events     what a line means            features   which keywords are on
    parser     one line -> one event        scanner    windows of lines -> events and runs (the hot path)
    run        the lines between events     folding    which of them reach optio's progress
    prompt     the documentation            near_miss  lines that were meant as a keyword
    paths      where a deliverable lies     replies    what the agent is told about it
    payload    JSON within limits           display    text made harmless
    limits     every bound                  protocol   all of it for one set of features

The session driver, which is imported from here for its callers' convenience, is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from optio_agents.protocol.features import BrowserMode, ProtocolFeatures
from optio_agents.protocol.parser import parse_log_line
from optio_agents.protocol.paths import (
    DELIVERABLES_SUBDIR,
    relativize_deliverable_path,
    validate_deliverable_path,
)
from optio_agents.protocol.prompt import LOG_CHANNEL_PROMPT, RESUME_NOTICE, build_log_channel_prompt
from optio_agents.protocol.protocol import Protocol, get_protocol

if TYPE_CHECKING:
    from optio_agents.protocol.session import (
        CALLER_MESSAGE_QUEUE_BOUND,
        DELIVERABLE_QUEUE_BOUND,
        AgentSender,
        CallerMessageCallback,
        DeliverableCallback,
        HookCallback,
        fetch_deliverable_text,
        run_log_protocol_session,
    )

__all__ = [
    "AgentSender",
    "AttentionEvent",
    "BrowserEvent",
    "BrowserMode",
    "CALLER_MESSAGE_QUEUE_BOUND",
    "CallerMessageCallback",
    "CallerMessageEvent",
    "ClientMessageEvent",
    "DELIVERABLES_SUBDIR",
    "DELIVERABLE_QUEUE_BOUND",
    "DeliverableCallback",
    "DeliverableEvent",
    "DoneEvent",
    "ErrorEvent",
    "HookCallback",
    "LOG_CHANNEL_PROMPT",
    "LogEvent",
    "Protocol",
    "ProtocolFeatures",
    "RESUME_NOTICE",
    "StatusEvent",
    "UnknownLine",
    "build_log_channel_prompt",
    "fetch_deliverable_text",
    "get_protocol",
    "parse_log_line",
    "relativize_deliverable_path",
    "run_log_protocol_session",
    "validate_deliverable_path",
]

_OF_THE_SESSION = frozenset(
    {
        "AgentSender",
        "CALLER_MESSAGE_QUEUE_BOUND",
        "CallerMessageCallback",
        "DELIVERABLE_QUEUE_BOUND",
        "DeliverableCallback",
        "HookCallback",
        "fetch_deliverable_text",
        "run_log_protocol_session",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _OF_THE_SESSION:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import session

    value = getattr(session, name)
    globals()[name] = value
    return value
