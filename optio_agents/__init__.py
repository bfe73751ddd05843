"""Agent sessions for optio, as actors on Trio.

The tree, from the edge to the core (arrows of import go this way only):

    cli/           the command line                task.py  a command as an optio task
    session/       a session's actors, one file each, and how they end
    conversation/  the Conversation actor, and one sans-IO codec per agent
    protocol/      keywords -> parser, scanner, documentation: values and tables, no I/O
    hosts/         what a session needs of a host: following a log, opening a deliverable
    bridge/        Trio as a guest of asyncio; calling the user's world from Trio
    context.py     HookContext, which hooks and callbacks get
    actors         (a package of its own) the actor runtime beneath

Names are imported on first use: `optio-agents check` must not pay for Trio, nor a Trio session for asyncssh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import actors

if getattr(actors, "DISTRIBUTION", None) != "optio-agents":
    raise ImportError(
        f"another package named 'actors' hides the one that optio-agents brings: {actors.__file__}. "
        "Rename that package or module, or remove its folder from the front of sys.path "
        "(a script's own folder and the current folder come first)."
    )

if TYPE_CHECKING:
    from optio_agents.context import SYSTEM_MESSAGE_PREFIX, HookContext, HookContextProtocol
    from optio_agents.conversation import (
        Conversation,
        ConversationClosed,
        PermissionDecision,
        PermissionRequest,
    )
    from optio_agents.protocol import browser_shims
    from optio_agents.protocol.features import ProtocolFeatures
    from optio_agents.protocol.parser import (
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
    from optio_agents.protocol.prompt import LOG_CHANNEL_PROMPT, RESUME_NOTICE, build_log_channel_prompt
    from optio_agents.protocol.protocol import BrowserMode, Protocol, get_protocol
    from optio_agents.protocol.session import (
        CALLER_MESSAGE_QUEUE_BOUND,
        DELIVERABLE_QUEUE_BOUND,
        AgentSender,
        CallerMessageCallback,
        DeliverableCallback,
        DeliverableFile,
        DeliverableFileCallback,
        DeliverableRecord,
        Ending,
        HookCallback,
        SessionFailed,
        SessionOptions,
        SessionOutcome,
        fetch_deliverable_text,
        run_log_protocol_session,
    )
    from optio_agents.task import create_agent_task

_PLACES = {
    "optio_agents.context": ("HookContext", "HookContextProtocol", "SYSTEM_MESSAGE_PREFIX"),
    "optio_agents.conversation": (
        "Conversation",
        "ConversationClosed",
        "PermissionDecision",
        "PermissionRequest",
    ),
    "optio_agents.protocol.features": ("ProtocolFeatures",),
    "optio_agents.protocol.parser": (
        "DeliverableEvent",
        "DoneEvent",
        "ErrorEvent",
        "LogEvent",
        "StatusEvent",
        "UnknownLine",
        "parse_log_line",
        "relativize_deliverable_path",
        "validate_deliverable_path",
    ),
    "optio_agents.protocol.prompt": ("LOG_CHANNEL_PROMPT", "RESUME_NOTICE", "build_log_channel_prompt"),
    "optio_agents.protocol.protocol": ("BrowserMode", "Protocol", "get_protocol"),
    "optio_agents.protocol.session": (
        "AgentSender",
        "CALLER_MESSAGE_QUEUE_BOUND",
        "CallerMessageCallback",
        "DELIVERABLE_QUEUE_BOUND",
        "DeliverableCallback",
        "DeliverableFile",
        "DeliverableFileCallback",
        "DeliverableRecord",
        "Ending",
        "HookCallback",
        "SessionFailed",
        "SessionOptions",
        "SessionOutcome",
        "fetch_deliverable_text",
        "run_log_protocol_session",
    ),
    "optio_agents.task": ("create_agent_task",),
}

_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "AgentSender",
    "BrowserMode",
    "CALLER_MESSAGE_QUEUE_BOUND",
    "CallerMessageCallback",
    "Conversation",
    "ConversationClosed",
    "DELIVERABLE_QUEUE_BOUND",
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
    "HookContextProtocol",
    "LOG_CHANNEL_PROMPT",
    "LogEvent",
    "PermissionDecision",
    "PermissionRequest",
    "Protocol",
    "ProtocolFeatures",
    "RESUME_NOTICE",
    "SYSTEM_MESSAGE_PREFIX",
    "SessionFailed",
    "SessionOptions",
    "SessionOutcome",
    "StatusEvent",
    "UnknownLine",
    "browser_shims",
    "build_log_channel_prompt",
    "create_agent_task",
    "fetch_deliverable_text",
    "get_protocol",
    "parse_log_line",
    "relativize_deliverable_path",
    "run_log_protocol_session",
    "validate_deliverable_path",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "browser_shims":
        return import_module("optio_agents.protocol.browser_shims")
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PLACE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
