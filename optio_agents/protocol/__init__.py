"""The log protocol: what an agent may write, and what each line means. Values and tables, no I/O.

    keywords   the one table: names, readers, documentation, examples
    events     what a line means            features   which keywords are enabled
    parser     one line -> one event        scanner    windows of lines -> events and runs (the hot path)
    line_run   the lines between events     coalescing which of them reach optio's progress
    prompt     the documentation            near_miss  lines probably meant as a keyword
    paths      checks of a deliverable path  replies   the replies to deliverables
    payload    JSON within limits           display    text made harmless
    limits     every bound                  protocol   all of it for one set of features

The session driver can be imported from here as well. It is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optio_agents.lazy_imports import install_lazy_imports

if TYPE_CHECKING or not install_lazy_imports():
    from optio_agents.protocol.events import (
        AttentionEvent as AttentionEvent,
        BrowserEvent as BrowserEvent,
        CallerMessageEvent as CallerMessageEvent,
        ClientMessageEvent as ClientMessageEvent,
        DeliverableEvent as DeliverableEvent,
        DoneEvent as DoneEvent,
        ErrorEvent as ErrorEvent,
        LogEvent as LogEvent,
        StatusEvent as StatusEvent,
        UnknownLine as UnknownLine,
    )
    from optio_agents.protocol.features import (
        BrowserMode as BrowserMode,
        ProtocolFeatures as ProtocolFeatures,
    )
    from optio_agents.protocol.parser import (
        parse_log_line as parse_log_line,
    )
    from optio_agents.protocol.paths import (
        DELIVERABLES_SUBDIR as DELIVERABLES_SUBDIR,
        relativize_deliverable_path as relativize_deliverable_path,
        validate_deliverable_path as validate_deliverable_path,
    )
    from optio_agents.protocol.prompt import (
        LOG_CHANNEL_PROMPT as LOG_CHANNEL_PROMPT,
        RESUME_NOTICE as RESUME_NOTICE,
        build_log_channel_prompt as build_log_channel_prompt,
    )
    from optio_agents.protocol.protocol import (
        Protocol as Protocol,
        get_protocol as get_protocol,
    )
    from optio_agents.protocol.session import (
        CALLER_MESSAGE_QUEUE_BOUND as CALLER_MESSAGE_QUEUE_BOUND,
        DELIVERABLE_QUEUE_BOUND as DELIVERABLE_QUEUE_BOUND,
        AgentSender as AgentSender,
        CallerMessageCallback as CallerMessageCallback,
        DeliverableCallback as DeliverableCallback,
        HookCallback as HookCallback,
        fetch_deliverable_text as fetch_deliverable_text,
        run_log_protocol_session as run_log_protocol_session,
    )
