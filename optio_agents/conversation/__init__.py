"""Talk to a coding agent: one conversation, whatever the agent.

```
surface.py      what task packages import: the protocol, permission values, ConversationClosed
values.py       events, states, turn results, receipts: what a conversation tells
framing.py      bytes into JSON objects
codec.py        what a codec is; codecs/ has one file per language
turns.py        the turn rules that all backends share, sans-IO: what the owner's commands mean
rules.py        what the backend's signals mean; both change turn_state.py, whose parts are running_turn.py,
                steering.py and pending_permissions.py; effects.py is what they want done
core.py         what one conversation owns; commands.py are its messages, actor.py its tasks
outbox.py, subscribers.py, handlers.py, permission_dispatcher.py, states.py, waiting.py    what the core is made of
transport.py, process.py    bytes to a process tree, and its end
client.py       the conversation as its owner holds it, over intake.py (its mailbox) and listeners.py (its handlers)
opening.py      the block that owns it
agents.py       how each agent is started
session.py      an agent that is talked to and writes optio.log, as the body of a session
from_asyncio.py, task_streams.py    the same for asyncio programs, and over the streams of an optio task's agent
```
"""

from optio_agents.conversation.agents import AGENTS, Agent, acp, claude, codex, gemini, opencode
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.opening import open_conversation, open_conversation_over
from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.promises import Sent
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
    Unsubscribe,
)
from optio_agents.conversation.values import (
    AgentNotStarted,
    Capabilities,
    ClosingReport,
    ConversationError,
    Event,
    Fate,
    InterruptKind,
    InterruptReceipt,
    SendEnd,
    SendQueueFull,
    SendRejected,
    State,
    TurnResult,
    TurnStatus,
    Unsupported,
)

__all__ = [
    "AGENTS", "Agent", "AgentConversation", "AgentNotStarted", "Capabilities", "ClosingReport", "Conversation",
    "ConversationClosed", "ConversationError", "ConversationOptions", "Event", "EventHandler", "Fate",
    "InterruptKind", "InterruptReceipt", "MessageHandler", "PermissionAnswer", "PermissionDecision",
    "PermissionHandler", "PermissionRequest", "SendEnd", "SendQueueFull", "SendRejected", "Sent", "State",
    "Subscription", "TurnResult", "TurnStatus", "Unsubscribe", "Unsupported", "acp", "claude", "codex", "gemini",
    "open_conversation", "open_conversation_over", "opencode",
]  # fmt: skip
