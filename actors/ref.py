"""The handle that other code has on an actor."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from actors.current import current, cycle_of_waits
from actors.errors import ActorStopped, AskTimeout, SelfAsk, SelfWait, WrongThread
from actors.lifecycle import State
from actors.mailbox import CHECKPOINT_EVERY, budget
from actors.reply import Reply
from actors.statistics import Statistics

if TYPE_CHECKING:
    from actors.cell import Cell
    from actors.exits import Exit

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Ref(Generic[M_contra]):
    """Send messages of one type to an actor, and end it. Survives the actor's restarts, and the actor itself.

    A reference owns nothing: dropping it stops nothing.
    """

    __slots__ = ("__weakref__", "_cell", "_mailbox")

    def __init__(self, cell: Cell[Any]) -> None:
        """Made by the supervisor that starts the actor."""
        self._cell = cell
        self._mailbox = cell.mailbox

    @property
    def name(self) -> str:
        """Its name, unique among the living children of its supervisor."""
        return self._cell.name

    @property
    def state(self) -> State:
        """Where it is in its life, at this moment."""
        return self._cell.state

    @property
    def ready_value(self) -> Any:
        """What the actor gave to `Me.ready` at its first start."""
        return self._cell.ready_value

    @property
    def exit(self) -> Exit | None:
        """How it ended; `None` while it lives."""
        return self._cell.exit

    @enable_ki_protection
    async def tell(self, message: M_contra) -> None:
        """Send a message, waiting for room if the mailbox's policy is to block.

        Usually returns without a checkpoint; one in 64 messages, to whatever actors, runs a full one, so a loop of
        tells can be cancelled and starves no other task. A `tell` that was cancelled has not sent.

        While a supervisor is being left, its actors stop one after another or together, and may still tell each
        other: a message to one that has stopped is then a dead letter, and its sender goes on.

        Raises:
            ActorStopped: it takes no more messages.
            MailboxFull: there is no room, and the policy is to reject.
            SelfTell: there is no room, and the actor tells itself.
            TellCycle: there is no room, and waiting for it would close a cycle of actors that wait for each other.
        """
        box = self._mailbox
        if len(box.queue) < box.limit and budget.left:  # `Mailbox.offer`, spelled out to be quick
            budget.left -= 1
            if box.parked is not None:
                box.wake()
            box.accepted += 1
            box.queue.append(message)
            return
        await self._put(message)

    @enable_ki_protection
    async def _put(self, message: M_contra) -> None:
        """The slow path of `tell`."""
        try:
            await self._mailbox.put(message)
        except ActorStopped:
            if not self._cell.absorbs(message):
                raise

    @enable_ki_protection
    def try_tell(self, message: M_contra) -> None:
        """Send a message if that is possible at once. Drops follow the mailbox's policy.

        Raises:
            ActorStopped: it takes no more messages (but see `tell` about a supervisor that is being left).
            MailboxFull: there is no room, and the policy is to block or to reject.
            WrongThread: called outside of Trio's thread.
        """
        self._check_thread("try_tell")
        try:
            self._mailbox.put_nowait(message)
        except ActorStopped:
            if not self._cell.absorbs(message):
                raise

    @enable_ki_protection
    async def ask(self, make: Callable[[Reply[R]], M_contra], *, timeout: float) -> R:
        """Ask a question and wait for the answer: `answer = await ref.ask(Get("a"), timeout=5)`.

        `make` is a `Question`, whose class says the type of the answer, or a function that makes the message from
        the reply: `lambda reply: Get("a", reply)`. `timeout` is in seconds, and covers the wait for room in the
        mailbox too. The reply goes past every mailbox, so that an actor may ask although its own mailbox is full.

        Raises:
            AskTimeout: there was no reply in time; it may still come, and is then counted as late.
            ActorStopped: it takes no more messages, or it ended without a reply.
            ActorFailed: it failed before it replied; `__cause__` says how. A restart does not hide this.
            Interrupted: the handler that was to reply was interrupted.
            MessageDropped: the question was dropped by the mailbox's policy.
            MailboxFull: there is no room, and the policy is to reject.
            SelfAsk: the actor asks itself.
            Exception: whatever the actor gave to `Reply.fail`.
        """
        cell = self._cell
        task = trio.lowlevel.current_task()
        if cell.task is task:
            raise SelfAsk(cell.name)
        asker = current.get()
        if asker is not None and asker.task is not task:
            asker = None  # a task that an actor has started: that actor itself does not wait
        reply: Reply[R] = Reply(cell)
        message = make(reply)
        if asker is not None:
            asker.asking = cell
        try:
            with trio.CancelScope(deadline=trio.current_time() + timeout):
                if (
                    not budget.left
                ):  # before the ask is open: a failure of the actor meanwhile is not about it
                    await trio.lowlevel.checkpoint()
                    budget.left = CHECKPOINT_EVERY
                cell.asks.add(reply, message)
                if not self._offer(message):
                    await self._put_question(message)
                return await reply._wait()
        finally:
            cell.asks.remove(reply)
            reply._give_up()
            cycle = ""
            if asker is not None:
                cycle = cycle_of_waits(asker)
                asker.asking = None
        raise AskTimeout(cell.name, timeout, f": {cycle or repr(cell)}")

    def _offer(self, message: M_contra) -> bool:
        """Send a question at once, if that is possible."""
        return self._mailbox.offer(message)

    async def _put_question(self, message: M_contra) -> None:
        """Send a question, waiting for room. Unlike a `tell`'s, it is never absorbed: its sender waits for more."""
        await self._mailbox.put(message)

    def stop(self, reason: str | None = None, *, drain: bool = True) -> None:
        """Begin an ordered stop and return at once; `wait` waits for it. Idempotent.

        The intake closes now: waiting and later senders get `ActorStopped`. What the actor has accepted is
        handled (with `drain=False` nothing more is, it becomes dead letters), then its receive ends, then
        whatever it does is cleanup, shielded from cancellation from outside. All of this within the actor's
        stop timeout, after which it is cancelled. A stopped actor is not restarted.
        """
        self._check_thread("stop")
        self._cell.stop(reason, drain=drain)

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the actor: a cancellation at its next checkpoint, and nothing more is received. Idempotent.

        What it was handling and what it had accepted become dead letters. It is not restarted.
        """
        self._check_thread("cancel")
        self._cell.cancel(reason)

    def interrupt(self, reason: str | None = None) -> bool:
        """Cancel the handler that runs now; the actor and its mailbox live on.

        Inside of `Me.serve` only the handler is unwound. An actor that loops over its messages by itself is
        unwound as a whole, and its function is called again, without its timers and watches. The message that was
        being handled becomes a dead letter, and its asker gets `Interrupted`.

        Returns:
            Whether a handler was running. If none was, nothing happens, and no later message is affected.
        """
        self._check_thread("interrupt")
        return self._cell.interrupt(reason)

    async def wait(self) -> Exit:
        """Wait for the actor's end and return how it ended. Any number of tasks may wait.

        Raises:
            SelfWait: the actor's own function waits for its end.
        """
        if self._cell.task is trio.lowlevel.current_task():
            raise SelfWait(self._cell.name)
        if self._cell.exit is not None:
            await trio.lowlevel.checkpoint()
        return await self._cell.wait()

    def statistics(self) -> Statistics:
        """Count what can be counted about it, now."""
        return self._cell.statistics()

    def _check_thread(self, what: str) -> None:
        if get_ident() != self._cell.family.thread:
            raise WrongThread(self._cell.name, what)

    def __repr__(self) -> str:
        return f"<Ref to {self._cell!r}>"
