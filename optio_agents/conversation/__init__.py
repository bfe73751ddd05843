"""Talk to a coding agent: one interface for conversations with all agents.

```
surface.py      what task packages import: the protocol, permission values, ConversationClosed
values.py       events, states, turn results, receipts: the values that a conversation returns
requests.py     an agent's requests to its owner: tool requests, questions and their answers; sendable.py checks texts
controls.py     the controls that an agent offers while it runs: model, effort, permission mode
codecs/         one file per backend protocol, over base.py, which defines a codec
turns/          the turn rules that all backends share, sans-IO
tools/          Python functions as tools of the agent; mcp_servers.py are servers of others
sessions/       the sessions that an agent has kept: listed, and read as typed turns
views/          typed views over the raw events: text, tool uses, usage, errors, ...
actor_state.py  the actor: the state of one conversation, and its tasks; commands.py are its messages
outbox.py, subscribers.py, request_dispatch.py, states.py, promises.py    the parts of the actor
transport.py, process.py    bytes to a process tree, and its end
attachments.py, structured.py    what a message carries beside its text, and what its answer must be
client.py       the owner's interface to the conversation, over intake.py (its mailbox) and listeners.py (its handlers)
opening.py      the block that owns it
agents.py       how each agent is started
agent_body.py   an agent with a conversation and an optio.log, as the body of a session
from_asyncio.py, stream_transport.py    the same for asyncio programs, and over the streams of an optio task's agent
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optio_agents.lazy_imports import install_lazy_imports

if TYPE_CHECKING or not install_lazy_imports():
    from optio_agents.conversation.agents import (
        AGENTS as AGENTS,
        Agent as Agent,
        acp as acp,
        claude as claude,
        codex as codex,
        gemini as gemini,
        opencode as opencode,
    )
    from optio_agents.conversation.attachments import (
        Attachment as Attachment,
    )
    from optio_agents.conversation.client import (
        AgentConversation as AgentConversation,
    )
    from optio_agents.conversation.mcp_servers import (
        AnyMcpServer as AnyMcpServer,
        McpCommand as McpCommand,
    )
    from optio_agents.conversation.opening import (
        open_conversation as open_conversation,
        open_conversation_over as open_conversation_over,
    )
    from optio_agents.conversation.options import (
        ConversationOptions as ConversationOptions,
    )
    from optio_agents.conversation.promises import (
        Sent as Sent,
    )
    from optio_agents.conversation.requests import (
        AgentQuestion as AgentQuestion,
        AgentQuestion as Question,  # noqa: F401 - the name of earlier versions
        Choice as Choice,
        QuestionAnswer as QuestionAnswer,
        QuestionHandler as QuestionHandler,
        QuestionRequest as QuestionRequest,
        ToolRequest as ToolRequest,
    )
    from optio_agents.conversation.sessions.finding import (
        last_session as last_session,
        list_sessions as list_sessions,
        session_history as session_history,
    )
    from optio_agents.conversation.sessions.values import (
        KeptSession as KeptSession,
        PastTurn as PastTurn,
    )
    from optio_agents.conversation.subscribers import (
        Subscription as Subscription,
    )
    from optio_agents.conversation.surface import (
        Conversation as Conversation,
        ConversationClosed as ConversationClosed,
        EventHandler as EventHandler,
        MessageHandler as MessageHandler,
        PermissionAnswer as PermissionAnswer,
        PermissionDecision as PermissionDecision,
        PermissionHandler as PermissionHandler,
        PermissionRequest as PermissionRequest,
        Scope as Scope,
        Unsubscribe as Unsubscribe,
    )
    from optio_agents.conversation.values import (
        AgentNotStarted as AgentNotStarted,
        BackgroundTask as BackgroundTask,
        Capabilities as Capabilities,
        ClosingReport as ClosingReport,
        ControlRejected as ControlRejected,
        ConversationError as ConversationError,
        ConversationState as ConversationState,
        ConversationState as State,  # noqa: F401 - the name of earlier versions
        Event as Event,
        Fate as Fate,
        InterruptKind as InterruptKind,
        InterruptReceipt as InterruptReceipt,
        NoValidAnswer as NoValidAnswer,
        Origin as Origin,
        SendEnd as SendEnd,
        SendQueueFull as SendQueueFull,
        SendRejected as SendRejected,
        TurnResult as TurnResult,
        TurnStatus as TurnStatus,
        Unsupported as Unsupported,
    )
    from optio_agents.conversation.views.dispatch import (
        views_of as views_of,
        views_of_raw as views_of_raw,
    )
    from optio_agents.conversation.views.errors import (
        AgentError as AgentError,
        ErrorKind as ErrorKind,
    )
    from optio_agents.conversation.views.usage import (
        Usage as Usage,
        UsageScope as UsageScope,
    )
    from optio_agents.conversation.views.values import (
        AgentPlan as AgentPlan,
        BackgroundWork as BackgroundWork,
        Compaction as Compaction,
        PlanStep as PlanStep,
        RateLimit as RateLimit,
        SessionStarted as SessionStarted,
        Text as Text,
        Thinking as Thinking,
        ToolResult as ToolResult,
        ToolUse as ToolUse,
        View as View,
    )
