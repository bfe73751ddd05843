"""The values that a conversation returns to its owner, without behaviour."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from optio_agents.conversation.views.errors import ErrorKind
from optio_agents.conversation.views.usage import Usage


class ConversationState(enum.Enum):
    """The one visible state of a conversation.

    Its changes::

        STARTING ──> IDLE <──> RUNNING <──> AWAITING_PERMISSION
                      ^           │  │              │
                      │           v  └──────────────┤
                      └────── INTERRUPTING <────────┘        from anywhere ──> CLOSED
    """

    STARTING = "starting"
    IDLE = "idle"
    RUNNING = "running"
    AWAITING_PERMISSION = "awaiting permission"
    """The agent waits for an answer of its owner: to a permission request or to a question."""
    INTERRUPTING = "interrupting"
    CLOSED = "closed"


class Event(NamedTuple):
    """One event of the backend, unchanged, and what we know about it.

    A `NamedTuple`, because one is made for each line that an agent prints.
    """

    raw: dict[str, Any]
    """The backend's own dict, unchanged; ours have a `type` that begins with `x-optio-`."""
    turn: int | None = None
    """The number of the turn that it belongs to (1, 2, ...), `None` outside of turns."""
    text: str = ""
    """What it adds to the agent's answer, for showing it as it comes; most events add nothing."""
    kept: bool = False
    """It ends a turn, asks something, or ends the conversation: a subscriber that is stuck does not lose it."""


class Origin(enum.Enum):
    """Who began a turn."""

    OURS = "ours"
    """A message of ours."""
    AGENT = "agent"
    """The agent itself: a background task has ended, or it pursues a goal."""


class BackgroundTask(NamedTuple):
    """Work that the agent has left running (a shell, a subagent, a goal); its end may begin a turn."""

    key: str
    """The backend's own name for it."""
    kind: str
    description: str


class TurnStatus(enum.Enum):
    """How a turn ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    """The backend reports an error (the model's API refused, a limit was reached)."""
    INTERRUPTED = "interrupted"
    LOST = "lost"
    """The agent or the conversation ended in the middle of it."""


@dataclass(frozen=True, slots=True)
class TurnResult:
    """A turn that has ended. `text` is the agent's final text, or the part of it that arrived."""

    turn: int
    status: TurnStatus
    text: str = ""
    error: str | None = None
    raw: dict[str, Any] | None = field(default=None, repr=False)
    """The backend's event that ended it."""
    origin: Origin = Origin.OURS
    lost_lines: int = 0
    """How many lines came within it that may have been records and could not be read (`x-optio-unparseable`)."""
    usage: Usage | None = None
    """What it cost, where the backend tells it."""
    error_kind: ErrorKind | None = None
    """What to do about its error; each FAILED turn has one."""
    background: tuple[BackgroundTask, ...] = ()
    """The work that was open in the background when it ended."""


class Fate(enum.Enum):
    """How a sent message ended. Each accepted send ends in exactly one of these ways."""

    ANSWERED = "answered"
    """It had a turn, and the turn has ended (`SendEnd.turn` says how)."""
    FOLDED = "folded"
    """It became part of a turn that another send, or the agent itself, had begun."""
    REJECTED = "rejected"
    """The backend refused it."""
    UNSENT = "unsent"
    """The agent never saw it: it was still queued when it was withdrawn or the conversation ended."""


@dataclass(frozen=True, slots=True)
class SendEnd:
    """How a send ended. `turn` is set for ANSWERED and FOLDED, `reason` for REJECTED and UNSENT."""

    fate: Fate
    turn: TurnResult | None = None
    reason: str | None = None


class InterruptKind(enum.Enum):
    """The result of an interrupt."""

    INTERRUPTED = "interrupted"
    FINISHED = "finished"
    """The turn ended by itself before the interrupt reached it."""
    NOTHING_RUNNING = "nothing running"
    UNSUPPORTED = "unsupported"
    """The backend has no way to interrupt; nothing was done."""
    UNANSWERED = "unanswered"
    """The turn did not end within the deadline; the agent's processes are being ended."""


@dataclass(frozen=True, slots=True)
class InterruptReceipt:
    """The answer to an interrupt.

    `turn` is the interrupted turn (`None` if it had not reached the agent yet), `queued` the texts that are still
    queued and run next, `acknowledged` whether the backend itself confirmed the interrupt.
    """

    kind: InterruptKind
    turn: TurnResult | None = None
    queued: tuple[str, ...] = ()
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class ClosingReport:
    """How a conversation ended. `unsent` are the texts that the agent never got, the oldest first."""

    reason: str
    how: str
    """How the agent's process ended, and its last words."""
    unsent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do in addition to sending, answering permissions and ending."""

    interrupt: bool = True
    steer: bool = False
    """A message can reach a turn that is running."""
    change_input: bool = False
    """A permission can be given for other input than was asked for."""
    resume: bool = False
    """A later process can take up the same session."""
    fork: bool = False
    """A later process can begin a new session with all that was said in one."""
    list_sessions: bool = False
    """`list_sessions` can list the sessions of a workdir."""
    tools: bool = True
    """It takes MCP servers, and so its owner's functions as tools."""
    images: bool = False
    """A message can carry images."""
    files: bool = False
    """A message can carry files."""
    answer_schema: bool = False
    """The answer of a turn can be given a schema."""
    deny_message: bool = False
    """A denial can tell the agent why."""


class ConversationError(Exception):
    """The conversation cannot do what was requested. The caller's fault; the conversation continues."""


class Unsupported(ConversationError):  # noqa: N818
    """The backend lacks the capability. The caller's fault: `capabilities` shows what it has."""


class SendQueueFull(ConversationError):  # noqa: N818
    """Too many sends wait already. The caller's fault: it sends faster than the agent answers."""


class NoValidAnswer(ConversationError):  # noqa: N818
    """The turn ended without an answer that fits its schema. `turn` is its result, with what was answered."""

    def __init__(self, reason: str, turn: TurnResult) -> None:
        super().__init__(reason)
        self.turn = turn


class SendRejected(ConversationError):  # noqa: N818
    """The agent refused what `ask` sent. The text says why."""


class ControlRejected(ConversationError):  # noqa: N818
    """A control cannot take the value. The text says why, and which values it takes."""


class AgentNotStarted(Exception):  # noqa: N818
    """The agent could not be started (missing, wrong version, not logged in). The environment's fault."""
