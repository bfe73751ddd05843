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

The other modules are the parts of which agent packages are made; `docs/agent-package.md` shows them at work:

    values         text, agent_info, account, config_types, custom_controls, mcp, session_controls
    instructions   prompt
    the sandbox    fs_grants, claustrum
    an agent's TUI tmux_input, input_listener, pane_surfacing
    files          uploads
    state          seeds (logged-in homes), todos (the agent's checklist), steering (queued messages),
                   model_probe (which models an account may use)

Names are imported on first use: `optio-agents check` must not pay for Trio, nor a Trio session for asyncssh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import actors
from optio_agents.lazy_imports import install_lazy_imports

if getattr(actors, "DISTRIBUTION", None) != "optio-agents":
    raise ImportError(
        f"another package named 'actors' hides the one that optio-agents brings: {actors.__file__}. "
        "Rename that package or module, or remove its folder from the front of sys.path "
        "(a script's own folder and the current folder come first)."
    )

if TYPE_CHECKING or not install_lazy_imports():
    from optio_agents.account import (
        EMPTY as EMPTY,
        AccountInfo as AccountInfo,
        UsageWindow as UsageWindow,
        is_limited as is_limited,
    )
    from optio_agents.agent_info import (
        AgentInfo as AgentInfo,
    )
    from optio_agents.config_types import (
        TOOL_VERBOSITIES as TOOL_VERBOSITIES,
        AllowedDir as AllowedDir,
        BlobCryptoConfigMixin as BlobCryptoConfigMixin,
        ConversationMode as ConversationMode,
        ResumeConfigMixin as ResumeConfigMixin,
        SeedProvider as SeedProvider,
        SeedUnavailableError as SeedUnavailableError,
        ThinkingVerbosity as ThinkingVerbosity,
        ToolVerbosity as ToolVerbosity,
        WelcomeCard as WelcomeCard,
        WelcomeConfigMixin as WelcomeConfigMixin,
    )
    from optio_agents.context import (
        SYSTEM_MESSAGE_PREFIX as SYSTEM_MESSAGE_PREFIX,
        HookContext as HookContext,
        HookContextProtocol as HookContextProtocol,
    )
    from optio_agents.conversation import (
        Conversation as Conversation,
        ConversationClosed as ConversationClosed,
        PermissionDecision as PermissionDecision,
        PermissionRequest as PermissionRequest,
    )
    from optio_agents.custom_controls import (
        ControlSettings as ControlSettings,
        CustomControl as CustomControl,
        CustomControlsConfigMixin as CustomControlsConfigMixin,
        CustomOption as CustomOption,
    )
    from optio_agents.input_listener import (
        serialized as serialized,
        start_input_listener as start_input_listener,
    )
    from optio_agents.mcp import (
        McpConfigMixin as McpConfigMixin,
        McpServer as McpServer,
        McpServersProvider as McpServersProvider,
        resolve_mcp_servers as resolve_mcp_servers,
    )
    from optio_agents.protocol.features import (
        ProtocolFeatures as ProtocolFeatures,
    )
    from optio_agents.protocol.parser import (
        DeliverableEvent as DeliverableEvent,
        DoneEvent as DoneEvent,
        ErrorEvent as ErrorEvent,
        LogEvent as LogEvent,
        StatusEvent as StatusEvent,
        UnknownLine as UnknownLine,
        parse_log_line as parse_log_line,
        relativize_deliverable_path as relativize_deliverable_path,
        validate_deliverable_path as validate_deliverable_path,
    )
    from optio_agents.protocol.prompt import (
        LOG_CHANNEL_PROMPT as LOG_CHANNEL_PROMPT,
        RESUME_NOTICE as RESUME_NOTICE,
        build_log_channel_prompt as build_log_channel_prompt,
    )
    from optio_agents.protocol.protocol import (
        BrowserMode as BrowserMode,
        Protocol as Protocol,
        get_protocol as get_protocol,
    )
    from optio_agents.protocol.session import (
        CALLER_MESSAGE_QUEUE_BOUND as CALLER_MESSAGE_QUEUE_BOUND,
        DELIVERABLE_QUEUE_BOUND as DELIVERABLE_QUEUE_BOUND,
        AgentSender as AgentSender,
        CallerMessageCallback as CallerMessageCallback,
        DeliverableCallback as DeliverableCallback,
        DeliverableFile as DeliverableFile,
        DeliverableFileCallback as DeliverableFileCallback,
        DeliverableRecord as DeliverableRecord,
        Ending as Ending,
        HookCallback as HookCallback,
        SessionFailed as SessionFailed,
        SessionOptions as SessionOptions,
        SessionOutcome as SessionOutcome,
        fetch_deliverable_text as fetch_deliverable_text,
        run_log_protocol_session as run_log_protocol_session,
    )
    from optio_agents.session_controls import (
        ControlOption as ControlOption,
        SessionControl as SessionControl,
    )
    from optio_agents.steering import (
        BUSY_SEND_VALUES as BUSY_SEND_VALUES,
        BusySend as BusySend,
        BusySendDeclaration as BusySendDeclaration,
        SendOutcome as SendOutcome,
        Steering as Steering,
        resolve_busy_send as resolve_busy_send,
    )
    from optio_agents.task import (
        create_agent_task as create_agent_task,
    )
    from optio_agents.text import (
        Text as Text,
        check_text as check_text,
        resolve_text as resolve_text,
    )
    from optio_agents.tmux_input import (
        NAV_KEYS as NAV_KEYS,
        send_key_to_tmux as send_key_to_tmux,
        send_text_to_tmux as send_text_to_tmux,
    )

    from . import (
        browser_shims as browser_shims,
        claustrum as claustrum,
        input_listener as input_listener,
        model_probe as model_probe,
        seeds as seeds,
        session_controls as session_controls,
        steering as steering,
        tmux_input as tmux_input,
    )
