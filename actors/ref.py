"""The handle with which other code uses an actor."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from actors.current import current_actor, cycle_of_waits
from actors.errors import ActorStopped, AskTimeout, SelfAsk, SelfWait, WrongThread
from actors.lifecycle import State
from actors.mailbox import CHECKPOINT_EVERY, budget
from actors.reply import NoAnswer, Reply
from actors.statistics import Statistics

if TYPE_CHECKING:
    from actors.cell import Cell
    from actors.exits import Exit

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Ref(Generic[M_contra]):
    """Sends messages of one type to an actor, and ends it. Stays valid over the actor's restarts and after its end.

    A reference owns nothing: dropping it stops no actor.
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
        """Its present state."""
        return self._cell.state

    @property
    def ready_value(self) -> Any:
        """The value that the actor passed to `Me.ready` at its first start."""
        return self._cell.ready_value

    @property
    def exit(self) -> Exit | None:
        """How it ended; `None` before its end."""
        return self._cell.exit

    @enable_ki_protection
    async def tell(self, message: M_contra) -> None:
        """Send a message, waiting for room if the mailbox's policy is to block.

        Usually returns without a checkpoint. One in 64 messages, counted over all actors, runs a full one, so a loop of
        tells can be cancelled and starves no other task. A cancelled `tell` has not sent.

        While a supervisor is being left, its actors stop one after another or together, and may still send to each
        other. A message to one that has stopped then becomes a dead letter, and its sender continues.

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

        `make` is a `Question`, whose class has the type of the answer, or a function that makes the message from the
        reply: `lambda reply: Get("a", reply)`. `timeout` is in seconds, and includes the wait for room in the mailbox.
        The reply does not pass through a mailbox, so an actor may ask even if its own mailbox is full.

        Raises:
            AskTimeout: there was no reply in time. A later reply is counted as late.
            ActorStopped: it takes no more messages, or it ended without a reply.
            ActorFailed: it failed before it replied; `__cause__` is its exception. A restart does not hide this.
            Interrupted: the handler was interrupted before it replied.
            MessageDropped: the question was dropped by the mailbox's policy.
            MailboxFull: there is no room, and the policy is to reject.
            SelfAsk: the actor asks itself.
            Exception: the exception that the actor passed to `Reply.fail`.
        """
        cell = self._cell
        task = trio.lowlevel.current_task()
        if cell.task is task:
            raise SelfAsk(cell.name)
        asker = current_actor()
        if asker is not None and asker.task is not task:
            asker = None  # a task that an actor has started: that actor itself does not wait
        reply: Reply[R] = Reply(cell)
        message = make(reply)
        if asker is not None:
            asker.asking = cell
        try:
            answer = await self._answer(reply, message, timeout)
        finally:
            cell.asks.remove(reply)
            reply._give_up()
            cycle = ""
            if asker is not None:
                cycle = cycle_of_waits(asker)
                asker.asking = None
        if isinstance(answer, NoAnswer):
            raise AskTimeout(cell.name, timeout, f": {cycle or repr(cell)}")
        return answer

    @enable_ki_protection
    async def _answer(self, reply: Reply[R], message: M_contra, timeout: float) -> R | NoAnswer:
        """Send a question and wait for the answer, for `timeout` seconds at most."""
        due = trio.current_time() + timeout
        cell = self._cell
        is_sent = False
        if budget.left and timeout > 0:
            cell.asks.add(reply, message)
            if is_sent := self._offer(message):
                if not reply.wanted:
                    return await reply._wait()
                deadlines = cell.family.ask_deadlines
                if (number := deadlines.add(reply, due)) is not None:
                    try:
                        answer = await reply._wait()
                    finally:
                        deadlines.forget(number)
                    if answer is not NoAnswer.UNWATCHED:
                        return answer
        with trio.CancelScope(deadline=due):
            if not is_sent:
                # Run the checkpoint before the ask is open: a failure of the actor meanwhile does not concern it.
                if not budget.left:
                    await trio.lowlevel.checkpoint()
                    budget.left = CHECKPOINT_EVERY
                cell.asks.add(reply, message)
                if not self._offer(message):
                    await self._put_question(message)
            return await reply._wait()
        return NoAnswer.EXPIRED

    def _offer(self, message: M_contra) -> bool:
        """Send a question at once, if that is possible."""
        return self._mailbox.offer(message)

    async def _put_question(self, message: M_contra) -> None:
        """Send a question, waiting for room. Unlike a `tell`, it is never absorbed: its sender waits for a reply."""
        await self._mailbox.put(message)

    def stop(self, reason: str | None = None, *, drain: bool = True) -> None:
        """Begin an ordered stop and return at once; `wait` waits for it. Idempotent.

        The intake closes now: waiting and later senders get `ActorStopped`. The actor handles what it has accepted
        (with `drain=False` those messages become dead letters), then its receive ends. The code after that is cleanup,
        shielded from cancellation from outside. All of this must end within the actor's stop timeout, after which it is
        cancelled. A stopped actor is not restarted.
        """
        self._check_thread("stop")
        self._cell.stop(reason, drain=drain)

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the actor at its next checkpoint; it receives nothing more. Idempotent.

        The message that it was handling and those that it had accepted become dead letters. It is not restarted.
        """
        self._check_thread("cancel")
        self._cell.cancel(reason)

    def interrupt(self, reason: str | None = None) -> bool:
        """Cancel the running handler; the actor and its mailbox continue.

        Inside of `Me.serve` only the handler is unwound. An actor that loops over its messages itself is unwound as a
        whole, and its function is called again, without its timers and watches. The message that was being handled
        becomes a dead letter, and its asker gets `Interrupted`.

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
        """A snapshot of its counters."""
        return self._cell.statistics()

    def _check_thread(self, what: str) -> None:
        if get_ident() != self._cell.family.thread:
            raise WrongThread(self._cell.name, what)

    def __repr__(self) -> str:
        return f"<Ref to {self._cell!r}>"
