"""The two handles of an actor without a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from actors.errors import ActorStopped
from actors.inline_cell import InlineCell
from actors.mailbox import CHECKPOINT_EVERY, Overflow, budget
from actors.ref import Ref

if TYPE_CHECKING:
    from actors.exits import Exit

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class InlineRef(Ref[M_contra]):
    """A `Ref` whose `tell` and `try_tell` handle the message before they return."""

    __slots__ = ("_inline",)

    def __init__(self, cell: InlineCell[Any]) -> None:
        super().__init__(cell)
        self._inline = cell

    async def tell(self, message: M_contra) -> None:
        """As `Ref.tell`: the message is handled now, in this task. Waits only while the actor rests."""
        cell = self._inline
        if not cell.is_idle or not budget.left:
            await self._tell_slowly(message)
            return
        budget.left -= 1
        cell.is_idle = False  # from here on the same as `try_tell`, inlined for speed
        cell.quick += 1
        try:
            if (result := cell.handle(message)) is not None:  # type: ignore[misc]  # it has one while it is idle
                cell.check_result(result)
        except BaseException as failure:  # noqa: BLE001 - it is the actor's, and judged by its supervisor
            cell.broke(message, failure)
        else:
            cell.is_idle = True
            if cell.has_more:
                cell.go()

    async def _tell_slowly(self, message: M_contra) -> None:
        if budget.left:
            budget.left -= 1
        else:
            await trio.lowlevel.checkpoint()
            budget.left = CHECKPOINT_EVERY - 1
        if self._must_wait():
            try:
                await self._mailbox.put(message)
            except ActorStopped:
                if not self._cell.absorbs(message):
                    raise
            self._inline.go()
        else:
            self.try_tell(message)

    def try_tell(self, message: M_contra) -> None:
        """As `Ref.try_tell`: the message is handled now, by this call, or queued if the actor cannot handle it yet.

        This costs less than three plain calls. An awaited `tell` costs more, for its coroutine and one checkpoint in
        64. The calling thread is checked only when the message is queued, because the check costs a call.
        """
        cell = self._inline
        if not cell.is_idle:
            self._try_tell_slowly(message)
            return
        cell.is_idle = False
        cell.quick += 1
        try:
            if (result := cell.handle(message)) is not None:  # type: ignore[misc]
                cell.check_result(result)
        except BaseException as failure:  # noqa: BLE001
            cell.broke(message, failure)
        else:
            cell.is_idle = True
            if cell.has_more:
                cell.go()

    def _try_tell_slowly(self, message: M_contra) -> None:
        self._check_thread("tell")
        try:
            self._inline.accept(message)
        except ActorStopped:
            if not self._cell.absorbs(message):
                raise

    def _must_wait(self) -> bool:
        """Whether there is no room, and the policy is to block. (An actor that does not rest always has room.)"""
        box = self._mailbox
        return box.open and box.overflow is Overflow.BLOCK and len(box.queue) >= box.capacity

    def _offer(self, message: M_contra) -> bool:
        if self._must_wait():
            return False
        self._check_thread("ask")
        self._inline.accept(message)
        return True

    async def _put_question(self, message: M_contra) -> None:
        await self._mailbox.put(message)
        self._inline.go()


class InlineMe(Generic[M]):
    """The own handle of an actor without a task, given to its set-up function as the first argument.

    It has no `receive` and no timers: messages come to the handler, and waiting takes a task.
    """

    __slots__ = ("_cell",)

    def __init__(self, cell: InlineCell[M]) -> None:
        """Made by the runtime, one for each run."""
        self._cell = cell

    @property
    def name(self) -> str:
        """The actor's name."""
        return self._cell.name

    @property
    def ref(self) -> Ref[M]:
        """The handle to give to others. A message that the handler itself sends to it is handled next."""
        ref: Ref[M] = self._cell.ref
        return ref

    def watch(self, ref: Ref[Any], make: Callable[[Exit], M]) -> None:
        """Handle `make(exit)` when that actor has ended for good: see `Me.watch`."""
        self._cell.watch(ref._cell, make)

    def unwatch(self, ref: Ref[Any]) -> None:
        """Stop watching."""
        self._cell.unwatch(ref._cell)

    def __repr__(self) -> str:
        return f"<InlineMe of {self._cell!r}>"
