"""The two handles of an actor without a task."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import trio

from actors.errors import ActorStopped
from actors.inline_cell import InlineCell
from actors.mailbox import Budget, Overflow
from actors.ref import Ref

if TYPE_CHECKING:
    from actors.exits import Exit

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)

CHECKPOINT_EVERY = 256
"""After this many tells of one task, to any actors without a task, a tell is a full checkpoint. The number is larger
than for other actors, because such a tell is a plain call: a checkpoint costs as much as fifty of them.
"""

budget = Budget()


def _nothing() -> Iterator[NoReturn]:
    yield from ()


EXHAUSTED = _nothing()
next(EXHAUSTED, None)


class Done:
    """What to await when all is done: a coroutine, as far as Trio can tell, that ends at once, any number of times.

    Making and awaiting a real one takes longer than a method call. A weak reference is the quickest callable that gives
    the same object each time, and a generator that is over is the quickest iterator that ends.
    """

    __slots__ = ()
    __await__: Any = weakref.ref(EXHAUSTED)

    def send(self, value: object) -> NoReturn:
        """End."""
        raise StopIteration

    def throw(self, error: Any, *rest: Any) -> NoReturn:
        """Let it pass."""
        raise error

    def close(self) -> None:
        """Do nothing."""


DONE: Coroutine[Any, Any, None] = Done()  # it has what a task needs of one


class InlineRef(Ref[M_contra]):
    """A `Ref` whose `tell` and `try_tell` handle the message before they return."""

    __slots__ = ("_inline",)

    def __init__(self, cell: InlineCell[Any]) -> None:
        super().__init__(cell)
        self._inline = cell

    def tell(self, message: M_contra) -> Coroutine[Any, Any, None]:
        """As `Ref.tell`: the message is handled now, in this task. Waits only while the actor rests.

        The call itself handles the message in nearly all cases; what it returns must be awaited in any case.
        """
        cell = self._inline
        handle = cell.idle
        left = budget.left
        if handle is None or not left:
            return self._tell_slowly(message)
        budget.left = left - 1
        try:  # from here on the same as `try_tell`, inlined for speed
            cell.idle = None
            cell.quick += 1
            if (result := handle(message)) is not None:
                cell.check_result(result)
            cell.idle = handle
        except BaseException as failure:  # noqa: BLE001 - it is the actor's, and judged by its supervisor
            cell.broke(message, failure)
        else:
            if cell.has_more:
                cell.go()
        return DONE

    async def _tell_slowly(self, message: M_contra) -> None:
        self._inline.count()
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

        Which thread calls it is looked at only when the message is queued, because that alone would cost a call.
        """
        cell = self._inline
        handle = cell.idle
        if handle is None:
            self._try_tell_slowly(message)
            return
        try:  # all of it: a Ctrl-C at any of these lines ends the actor, and never leaves it busy for ever
            cell.idle = None
            cell.quick += 1
            if (result := handle(message)) is not None:
                cell.check_result(result)
            cell.idle = handle
        except BaseException as failure:  # noqa: BLE001
            cell.broke(message, failure)
        else:
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
