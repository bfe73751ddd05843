"""All that users need. `import actors` offers the same names."""

from actors.errors import (
    ActorError,
    ActorFailed,
    ActorStopped,
    AlreadyReady,
    AlreadyReceiving,
    AskTimeout,
    EndOfMailbox,
    Escalated,
    Interrupted,
    MailboxFull,
    MessageDropped,
    NameTaken,
    SelfAsk,
    SelfTell,
    SelfWait,
    StartFailed,
    StartTimeout,
    SupervisorClosed,
    TellCycle,
    WrongThread,
)
from actors.exits import DeadLetter, Exit, ExitKind
from actors.hooks import Hooks, TracedActor
from actors.inline_handles import InlineMe
from actors.inline_spec import InlineSpec, inline
from actors.intensity import NO_BACKOFF, Backoff, Intensity, Restart, Strategy
from actors.lifecycle import State
from actors.mailbox import Overflow
from actors.me import Me
from actors.question import Question
from actors.ref import Ref
from actors.reply import Reply
from actors.spec import Spec, actor
from actors.statistics import Statistics
from actors.supervisor import Supervisor, open_supervisor
from actors.task_tree import tree
from actors.timers import Timers

ONE_FOR_ONE = Strategy.ONE_FOR_ONE
ONE_FOR_ALL = Strategy.ONE_FOR_ALL
REST_FOR_ONE = Strategy.REST_FOR_ONE
PERMANENT = Restart.PERMANENT
TRANSIENT = Restart.TRANSIENT
TEMPORARY = Restart.TEMPORARY

__all__ = [
    "ActorError", "ActorFailed", "ActorStopped", "AlreadyReady", "AlreadyReceiving", "AskTimeout", "Backoff",
    "DeadLetter", "EndOfMailbox", "Escalated", "Exit", "ExitKind", "Hooks", "InlineMe", "InlineSpec",
    "Intensity", "Interrupted", "MailboxFull", "Me", "MessageDropped", "NO_BACKOFF", "NameTaken",
    "ONE_FOR_ALL", "ONE_FOR_ONE", "Overflow", "PERMANENT", "Question", "REST_FOR_ONE", "Ref", "Reply",
    "Restart", "SelfAsk", "SelfTell", "SelfWait", "Spec", "StartFailed", "StartTimeout", "State",
    "Statistics", "Strategy", "Supervisor", "SupervisorClosed", "TEMPORARY", "TRANSIENT", "TellCycle",
    "Timers", "TracedActor", "WrongThread", "actor", "inline", "open_supervisor", "tree",
]  # fmt: skip
