"""An actor runtime on Trio: typed mailboxes, supervision, and cancellation that reaches the running handler.

Where things are, from the bottom up:

    errors.py        every error, each saying whose fault it is
    exits.py         how an actor ended, and what it left undone
    lifecycle.py     the states of an actor, as a table
    intensity.py     restart maths: how often, how long to wait, whom it takes along
    timers.py        keyed timers, looked at when an actor receives
    hooks.py         where tracing hangs in
    mailbox.py       the two lanes; begins with an essay, for it is the hard part
    reply.py         what an ask hands to the callee
    ref.py, me.py    the two handles: everybody else's, and the actor's own
    spec.py          an actor's function with its arguments
    statistics.py    what can be counted
    cell.py          one actor's life: run, interrupt, stop, end
    supervisor.py    owners of actors: start, restart, escalate, stop
    tree.py          a picture of what lives
    otel.py          tracing with OpenTelemetry; nothing here imports it
    testing/         the test kit; nothing here imports it

All that users need is re-exported here; the guide is docs/actors.md.
"""

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
    StartFailed,
    SupervisorClosed,
)
from actors.exits import DeadLetter, Exit, ExitKind
from actors.hooks import Hooks
from actors.intensity import NO_BACKOFF, Backoff, Intensity, Restart, Strategy
from actors.lifecycle import State
from actors.mailbox import Overflow
from actors.me import Me
from actors.ref import Ref
from actors.reply import Reply
from actors.spec import Spec, actor
from actors.statistics import Statistics
from actors.supervisor import Supervisor, open_supervisor
from actors.timers import Timers
from actors.tree import tree

ONE_FOR_ONE = Strategy.ONE_FOR_ONE
ONE_FOR_ALL = Strategy.ONE_FOR_ALL
REST_FOR_ONE = Strategy.REST_FOR_ONE
PERMANENT = Restart.PERMANENT
TRANSIENT = Restart.TRANSIENT
TEMPORARY = Restart.TEMPORARY

__all__ = [
    "ActorError", "ActorFailed", "ActorStopped", "AlreadyReady", "AlreadyReceiving", "AskTimeout",
    "Backoff", "DeadLetter", "EndOfMailbox", "Escalated", "Exit", "ExitKind", "Hooks", "Intensity",
    "Interrupted", "MailboxFull", "Me", "MessageDropped", "NO_BACKOFF", "NameTaken", "ONE_FOR_ALL",
    "ONE_FOR_ONE", "Overflow", "PERMANENT", "REST_FOR_ONE", "Ref", "Reply", "Restart", "SelfAsk", "Spec",
    "StartFailed", "State", "Statistics", "Strategy", "Supervisor", "SupervisorClosed", "TEMPORARY",
    "TRANSIENT", "Timers", "actor", "open_supervisor", "tree",
]  # fmt: skip
