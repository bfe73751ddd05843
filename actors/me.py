"""The handle with which an actor uses itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from actors.errors import AlreadyReady, EndOfMailbox
from actors.lifecycle import State
from actors.mailbox import NOTHING
from actors.timers import Timers

if TYPE_CHECKING:
    from actors.exits import Exit
    from actors.ref import Ref
    from actors.task_cell import TaskCell

M = TypeVar("M")


@disable_ki_protection
async def _unprotected(handle: Callable[[M], Awaitable[object]], message: M) -> None:
    """Call the user's code from protected code."""
    await handle(message)


class Me(Generic[M]):
    """An actor's own mailbox, timers and name, given to its function as the first argument.

    Iterate over it to receive one message after another. The loop ends when an ordered stop was requested and the
    mailbox is drained. It runs a checkpoint at least once in 64 messages.
    """

    __slots__ = ("_cell", "_mailbox", "_said_ready")

    def __init__(self, cell: TaskCell[M]) -> None:
        """Made by the runtime, one for each run of the actor's function."""
        self._cell = cell
        self._mailbox = cell.mailbox
        self._said_ready = False

    @property
    def name(self) -> str:
        """The actor's name."""
        return self._cell.name

    @property
    def ref(self) -> Ref[M]:
        """The handle to give to others."""
        ref: Ref[M] = self._cell.ref
        return ref

    @property
    def timers(self) -> Timers[M]:
        """Its keyed timers. They end with this run of the function."""
        return self._mailbox.own_timers()

    @property
    def stopping(self) -> bool:
        """Whether a stop has been requested. Long work that does not receive should check this."""
        return self._cell.state in (State.STOPPING, State.PAUSING)

    async def wait_stopping(self) -> None:
        """Wait until a stop is requested: for actors that do not receive."""
        while not self.stopping:
            await self._cell.changed()

    def ready(self, value: object = None) -> None:
        """Let the caller of `start` continue, before the first receive (which has the same effect). Once per run.

        `value` is then the `ready_value` of the `Ref`.

        Raises:
            AlreadyReady: it is ready already.
        """
        if self._said_ready or not self._mailbox.fresh:
            raise AlreadyReady(
                f"actor {self.name!r} is ready already: the first receive says so, or ready() did"
            )
        self._said_ready = True
        self._cell.ready(value)

    def __aiter__(self) -> Me[M]:
        return self

    @enable_ki_protection
    async def __anext__(self) -> M:
        box = self._mailbox
        if box.credit and box.queue and not box.senders:
            # 7 is LOOK_EVERY - 1, inlined, because a global costs more than the rest of the line.
            if not box.credit & 7:
                box.put_down()
                await trio.lowlevel.checkpoint_if_cancelled()
            box.credit -= 1
            message: M = box.queue.popleft()
            box.in_hand = message
            return message
        message = await box.receive()
        if message is NOTHING:
            raise StopAsyncIteration
        return message

    async def receive(self) -> M:
        """Wait for the next message.

        Raises:
            EndOfMailbox: a stop was requested and no message is left. Do not catch it: it ends the actor.
        """
        message = await self._mailbox.receive()
        if message is NOTHING:
            raise EndOfMailbox(f"actor {self.name!r} is to stop and there is nothing more to receive")
        return message

    async def receive_batch(self, limit: int = 64) -> list[M]:
        """Wait for at least one message; take up to `limit` queued ones.

        They are handled together: if the handler fails or is interrupted, all of them become dead letters.

        Raises:
            EndOfMailbox: as for `receive`.
        """
        batch = await self._mailbox.receive_batch(limit)
        if not batch:
            raise EndOfMailbox(f"actor {self.name!r} is to stop and there is nothing more to receive")
        return batch

    @enable_ki_protection
    async def serve(self, handle: Callable[[M], Awaitable[object]]) -> None:
        """Handle one message after another with `handle` until a stop; an interrupt unwinds `handle` only."""
        while True:
            with trio.CancelScope() as scope:
                outer = self._cell.swap_interruptible(scope)
                try:
                    async for message in self:
                        await _unprotected(handle, message)
                    return
                finally:
                    if outer is not None:
                        self._cell.swap_interruptible(outer)
            self._cell.interrupted()

    def cleanup(self, seconds: float | None = None) -> trio.CancelScope:
        """Shield a cleanup from the cancellation that caused it: `with me.cleanup(): ...`.

        It has `seconds`, or by default the actor's stop timeout; after that it is cancelled. It is only needed in a
        `finally`: the code after the receive loop is shielded anyway after an ordered stop.
        """
        limit = self._cell.stop_timeout if seconds is None else seconds
        return trio.CancelScope(deadline=trio.current_time() + limit, shield=True)

    def watch(self, ref: Ref[Any], make: Callable[[Exit], M]) -> None:
        """Receive `make(exit)`, in the system lane, when that actor has ended for good; at once if it has already.

        A restart is not an end. `make` is called when the message is received, in this actor. Watching twice
        replaces the first `make`. A watch ends with this run of the function.
        """
        self._cell.watch(ref._cell, make)

    def unwatch(self, ref: Ref[Any]) -> None:
        """Stop watching: no message about that actor's end is received any more."""
        self._cell.unwatch(ref._cell)

    def __repr__(self) -> str:
        return f"<Me of {self._cell!r}>"
