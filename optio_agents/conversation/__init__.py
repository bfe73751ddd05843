"""Talk to a coding agent: one conversation, whatever the agent.

```
surface.py      what task packages import: the protocol, permission values, ConversationClosed
values.py       events, states, turn results, receipts: what a conversation tells
requests.py     what an agent asks of its owner: tool requests, questions and their answers; sendable.py checks texts
codecs/         one file per language of a backend, over base.py, which says what a codec is
turns/          the turn rules that all backends share, sans-IO
actor_state.py  the actor: what one conversation owns, and its tasks; commands.py are its messages
outbox.py, subscribers.py, request_dispatch.py, states.py, promises.py    what the actor is made of
transport.py, process.py    bytes to a process tree, and its end
client.py       the conversation as its owner holds it, over intake.py (its mailbox) and listeners.py (its handlers)
opening.py      the block that owns it
agents.py       how each agent is started
agent_body.py   an agent that is talked to and writes optio.log, as the body of a session
from_asyncio.py, stream_transport.py    the same for asyncio programs, and over the streams of an optio task's agent
```
"""

from optio_agents.conversation.agents import AGENTS, Agent, acp, claude, codex, gemini, opencode
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.opening import open_conversation, open_conversation_over
from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.promises import Sent
from optio_agents.conversation.requests import (
    Choice,
    Question,
    QuestionAnswer,
    QuestionHandler,
    QuestionRequest,
    ToolRequest,
)
from optio_agents.conversation.subscribers import Subscription
from optio_agents.conversation.surface import (
    Conversation,
    ConversationClosed,
    EventHandler,
    MessageHandler,
    PermissionAnswer,
    PermissionDecision,
    PermissionHandler,
    PermissionRequest,
    Scope,
    Unsubscribe,
)
from optio_agents.conversation.values import (
    AgentNotStarted,
    BackgroundTask,
    Capabilities,
    ClosingReport,
    ConversationError,
    Event,
    Fate,
    InterruptKind,
    InterruptReceipt,
    Origin,
    SendEnd,
    SendQueueFull,
    SendRejected,
    State,
    TurnResult,
    TurnStatus,
    Unsupported,
)

__all__ = [
    "AGENTS", "Agent", "AgentConversation", "AgentNotStarted", "BackgroundTask", "Capabilities", "Choice",
    "ClosingReport", "Conversation", "ConversationClosed", "ConversationError", "ConversationOptions", "Event",
    "EventHandler", "Fate", "InterruptKind", "InterruptReceipt", "MessageHandler", "Origin", "PermissionAnswer",
    "PermissionDecision", "PermissionHandler", "PermissionRequest", "Question", "QuestionAnswer", "QuestionHandler",
    "QuestionRequest", "Scope", "SendEnd", "SendQueueFull", "SendRejected", "Sent", "State", "Subscription",
    "ToolRequest", "TurnResult", "TurnStatus", "Unsubscribe", "Unsupported", "acp", "claude", "codex", "gemini",
    "open_conversation", "open_conversation_over", "opencode",
]  # fmt: skip
