"""Every error of the runtime, flat, each saying whose fault it is.

Errors that hold a `name` name the actor that they are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.exits import Exit


class ActorError(Exception):
    """The base class of all errors of the runtime itself."""


class ActorStopped(ActorError):  # noqa: N818 - named for what happened, as trio does
    """The actor takes no more messages: it has ended, or it is stopping. No fault; the sender must handle it.

    `exit` is how it ended, or `None` while it still handles messages that it had accepted.
    """

    def __init__(self, name: str, exit: Exit | None = None) -> None:
        how = "it is stopping" if exit is None else f"it has {exit.describe()}"
        super().__init__(f"actor {name!r} takes no more messages: {how}")
        self.name = name
        self.exit = exit


class ActorFailed(ActorError):  # noqa: N818
    """The actor failed before it replied: the callee's fault. `cause` is its exception (also `__cause__`)."""

    def __init__(self, name: str, cause: BaseException) -> None:
        super().__init__(f"actor {name!r} failed before it replied: {cause!r}")
        self.name = name
        self.cause = cause


class Interrupted(ActorError):  # noqa: N818
    """The handler was interrupted before it replied, by the caller of `interrupt`."""

    def __init__(self, name: str, reason: str | None) -> None:
        super().__init__(f"actor {name!r} was interrupted before it replied: {reason or 'no reason given'}")
        self.name = name
        self.reason = reason


class MailboxFull(ActorError):  # noqa: N818
    """The mailbox is full, and neither waiting nor dropping was allowed: too fast a sender, or too slow an actor."""

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(f"the mailbox of actor {name!r} is full ({capacity} messages)")
        self.name = name
        self.capacity = capacity


class MessageDropped(ActorError):  # noqa: N818
    """The question was dropped from a full mailbox before it was handled, according to the overflow policy."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"actor {name!r} never handled the message: {why}")
        self.name = name
        self.why = why


class AskTimeout(ActorError):  # noqa: N818
    """No reply came within the deadline. The callee is slow, stuck, or in a cycle of asks with the caller."""

    def __init__(self, name: str, seconds: float, detail: str = "") -> None:
        super().__init__(f"actor {name!r} did not reply within {seconds} s{detail}")
        self.name = name
        self.seconds = seconds


class SelfAsk(ActorError):  # noqa: N818
    """An actor asked itself from its own handler, which would wait for itself. The caller's fault."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"actor {name!r} asked itself: its handler would never end its wait for itself; call a function"
        )
        self.name = name


class SelfTell(ActorError):  # noqa: N818
    """An actor told itself from its own handler while its mailbox was full, and would wait for room that only it
    can make. The caller's fault: give the mailbox more room, or call a function.
    """

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(
            f"actor {name!r} told itself with a full mailbox ({capacity} messages): its handler would wait "
            "for itself without end; raise its capacity, or call a function"
        )
        self.name = name
        self.capacity = capacity


class SelfWait(ActorError):  # noqa: N818
    """An actor waited for its own end from its own function. The caller's fault: return instead."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"actor {name!r} waits for its own end, which cannot come before this wait ends; return"
        )
        self.name = name


class TellCycle(ActorError):  # noqa: N818
    """Actors tell each other in a cycle, all their mailboxes are full, and no deadline ends their waits.

    Raised in the actor that would close the cycle. The program's fault: let messages flow one way, and let answers
    come as replies.
    """

    def __init__(self, name: str, cycle: str) -> None:
        super().__init__(
            f"the mailbox of actor {name!r} is full, and waiting for room would never end: {cycle}"
        )
        self.name = name


class StartTimeout(ActorError):  # noqa: N818
    """A restarted actor was not ready within its start timeout: its set-up hangs.

    The cause of that run's failure, which is handled like any other.
    """

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(f"actor {name!r} was restarted and was not ready within {seconds} s")
        self.name = name
        self.seconds = seconds


class WrongThread(ActorError):  # noqa: N818
    """An actor was used from a thread that is not Trio's. The caller's fault; nothing was sent or changed.

    Call it in Trio's thread: `trio.from_thread.run_sync(ref.try_tell, message)`, or with a `TrioToken`.
    """

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"{what} of actor {name!r} was called outside of Trio's thread, and did nothing; "
            f"use trio.from_thread.run_sync, or trio_token.run_sync_soon"
        )
        self.name = name


class EndOfMailbox(ActorError):  # noqa: N818
    """`receive` has no more messages: an ordered stop was requested and the mailbox is drained.

    No fault. Let it end the actor (the runtime treats that as the normal end of a stop), or use `async for`.
    """


class AlreadyReceiving(ActorError):  # noqa: N818
    """Two tasks receive from one mailbox. The actor's fault: a mailbox has one reader."""


class AlreadyReady(ActorError):  # noqa: N818
    """`ready` was called twice, or after the first receive, which has the same effect. The actor's fault."""


class NameTaken(ActorError):  # noqa: N818
    """A child of this name is alive in this supervisor: it was started twice. The starter's fault."""


class StartFailed(ActorError):  # noqa: N818
    """The actor ended before it was ready. Its own fault, or its arguments'. `cause` is its exception, if any."""

    def __init__(self, name: str, exit: Exit) -> None:
        super().__init__(f"actor {name!r} did not become ready: it {exit.describe()}")
        self.name = name
        self.exit = exit
        self.cause = exit.cause


class SupervisorClosed(ActorError):  # noqa: N818
    """The supervisor is used outside of its `async with` block, or while the block is being left.

    The caller's fault: the code that starts an actor must run inside of the block that owns it.
    """

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"supervisor {name!r} {detail}")
        self.name = name


class Escalated(ActorError):  # noqa: N818
    """A child failed more often than the intensity allows, or while stopping: the child's fault.

    `child` is its name, `cause` its first failure's exception (also `__cause__`), `others` the exceptions of further
    failures while the block was left; each is also a note.
    """

    def __init__(self, child: str, cause: BaseException, detail: str) -> None:
        super().__init__(f"actor {child!r} {detail}: {cause!r}")
        self.child = child
        self.cause = cause
        self.others: tuple[BaseException, ...] = ()
        self.__cause__ = cause

    def keep(self, other: BaseException, what: str) -> None:
        """Keep another exception in addition to the first. `what` describes its source in a few words."""
        self.others += (other,)
        self.add_note(f"{what}: {other!r}")
