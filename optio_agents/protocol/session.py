"""The published import path of the session. It only re-exports; the code is in `optio_agents.session`."""

from __future__ import annotations

from optio_agents.context import AgentSender, HookContext
from optio_agents.protocol.parser import (
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
    parse_log_line,
    relativize_deliverable_path,
    validate_deliverable_path,
)
from optio_agents.protocol.protocol import Protocol, get_protocol
from optio_agents.session.callbacks import (
    BodyCallback,
    CallerMessageCallback,
    DeliverableCallback,
    DeliverableFileCallback,
    HookCallback,
)
from optio_agents.session.deliverable import DeliverableFile
from optio_agents.session.entry import fetch_deliverable_text, run_log_protocol_session
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import (
    DeliverableRecord,
    Ending,
    HostTimeout,
    SessionFailed,
    SessionOutcome,
)
from optio_agents.session.topology import CALLER_MESSAGE_QUEUE_BOUND, DELIVERABLE_QUEUE_BOUND

__all__ = [
    "CALLER_MESSAGE_QUEUE_BOUND",
    "DELIVERABLE_QUEUE_BOUND",
    "AgentSender",
    "AttentionEvent",
    "BodyCallback",
    "BrowserEvent",
    "CallerMessageCallback",
    "CallerMessageEvent",
    "ClientMessageEvent",
    "DeliverableCallback",
    "DeliverableEvent",
    "DeliverableFile",
    "DeliverableFileCallback",
    "DeliverableRecord",
    "DoneEvent",
    "Ending",
    "ErrorEvent",
    "HookCallback",
    "HookContext",
    "LogEvent",
    "Protocol",
    "HostTimeout",
    "SessionFailed",
    "SessionOptions",
    "SessionOutcome",
    "StatusEvent",
    "UnknownLine",
    "fetch_deliverable_text",
    "get_protocol",
    "parse_log_line",
    "relativize_deliverable_path",
    "run_log_protocol_session",
    "validate_deliverable_path",
]

_SessionFailed = SessionFailed
