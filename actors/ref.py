"""The handle that everybody else has on an actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from actors.current import current
from actors.errors import AskTimeout, SelfAsk
from actors.lifecycle import State
from actors.reply import Reply
from actors.statistics import Statistics

if TYPE_CHECKING:
    from actors.cell import Cell
    from actors.current import Running
    from actors.exits import Exit

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")

MAX_CYCLE = 20
"""How many actors a cycle of asks is followed through, for the text of an error."""


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

    async def tell(self, message: M_contra) -> None:
        """Send a message, waiting for room if the mailbox's policy is to block.

        Usually returns without a checkpoint; one in 64 messages to an actor runs a full one, so a loop of
        tells can be cancelled and starves nobody. A `tell` that was cancelled has not sent.

        Raises:
            ActorStopped: it takes no more messages.
            MailboxFull: there is no room, and the policy is to reject.
        """
        box = self._mailbox
        if len(box.queue) < box.limit and box.accepted & 63:  # CHECKPOINT_EVERY, spelled out to be quick
            box.accepted += 1
            box.queue.append(message)
            if box.parked is not None:
                box.wake()
            return
        await box.put(message)

    def try_tell(self, message: M_contra) -> None:
        """Send a message if that is possible at once. Drops follow the mailbox's policy.

        Raises:
            ActorStopped: it takes no more messages.
            MailboxFull: there is no room, and the policy is to block or to reject.
        """
        self._mailbox.put_nowait(message)

    async def ask(self, make: Callable[[Reply[R]], M_contra], *, timeout: float) -> R:
        """Send the message `make(reply)` and wait for what the actor gives to that reply.

        `timeout` is in seconds, and covers the wait for room in the mailbox too. The reply goes past every
        mailbox, so that an actor may ask although its own mailbox is full.

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
        cell.asks.add(reply, message)
        if asker is not None:
            asker.asking = cell
        try:
            with trio.CancelScope(deadline=trio.current_time() + timeout):
                await self.tell(message)
                return await reply._wait()
        finally:
            cell.asks.remove(reply)
            reply._give_up()
            cycle = ""
            if asker is not None:
                cycle = _cycle(asker)
                asker.asking = None
        raise AskTimeout(cell.name, timeout, f": {cycle or repr(cell)}")

    def stop(self, reason: str | None = None, *, drain: bool = True) -> None:
        """Begin an ordered stop and return at once; `wait` waits for it. Idempotent.

        The intake closes now: waiting and later senders get `ActorStopped`. What the actor has accepted is
        handled (with `drain=False` nothing more is, it becomes dead letters), then its receive ends, then
        whatever it does is cleanup, shielded from cancellation from outside. All of this within the actor's
        stop timeout, after which it is cancelled. A stopped actor is not restarted.
        """
        self._cell.stop(reason, drain=drain)

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the actor: a cancellation at its next checkpoint, and nothing more is received. Idempotent.

        What it was handling and what it had accepted become dead letters. It is not restarted.
        """
        self._cell.cancel(reason)

    def interrupt(self, reason: str | None = None) -> bool:
        """Cancel the handler that runs now; the actor lives on, and so do its mailbox and its timers'
        absence.

        Inside of `Me.serve` only the handler is unwound. An actor that loops over its messages by itself is
        unwound as a whole, and its function is called again. The message that was being handled becomes a
        dead letter, and whoever asked gets `Interrupted`.

        Returns:
            Whether a handler was running. If none was, nothing happens, and no later message is affected.
        """
        return self._cell.interrupt(reason)

    async def wait(self) -> Exit:
        """Wait for the actor's end and return how it ended. Any number of tasks may wait."""
        if self._cell.exit is not None:
            await trio.lowlevel.checkpoint()
        return await self._cell.wait()

    def statistics(self) -> Statistics:
        """Count what can be counted about it, now."""
        return self._cell.statistics()

    def __repr__(self) -> str:
        return f"<Ref to {self._cell!r}>"


def _cycle(asker: Running) -> str:
    """Who waits for whom, if the chain of asks that begins at `asker` comes back to it."""
    names, cell = [asker.name], asker.asking
    while cell is not None and len(names) <= MAX_CYCLE:
        names.append(cell.name)
        if cell is asker:
            return f"they wait for each other: {' -> '.join(names)}"
        cell = cell.asking
    return ""
