"""The two handles of an actor whose messages are traced: the same quick paths, with a call to the hooks on each.

They are classes of their own so that an actor without hooks has nothing to look at on its quick paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from actors.mailbox import NOTHING, budget
from actors.me import Me
from actors.ref import Ref

if TYPE_CHECKING:
    from actors.task_cell import TaskCell

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class TracedRef(Ref[M_contra]):
    """A `Ref` whose `tell` says so to the hooks. (Its other verbs meet the hooks in the mailbox.)"""

    __slots__ = ()

    @enable_ki_protection
    async def tell(self, message: M_contra) -> None:
        """As `Ref.tell`."""
        box = self._mailbox
        if len(box.queue) < box.limit and budget.left and box.hooks is not None:
            budget.left -= 1
            entry = (message, box.hooks.sent(self, message))
            if box.parked is not None:
                box.wake()
            box.accepted += 1
            box.queue.append(entry)
            return
        await self._put(message)


class TracedMe(Me[M]):
    """A `Me` that says to the hooks what it receives."""

    __slots__ = ("_traced",)

    def __init__(self, cell: TaskCell[M]) -> None:
        super().__init__(cell)
        self._traced = cell.ref

    @enable_ki_protection
    async def __anext__(self) -> M:
        box = self._mailbox
        if box.credit and box.queue and not box.senders and box.hooks is not None:
            # 7 is LOOK_EVERY - 1, inlined, because a global costs more than the rest of the line.
            if not box.credit & 7:
                box.put_down()
                await trio.lowlevel.checkpoint_if_cancelled()
            box.credit -= 1
            message: M
            message, token = box.queue.popleft()
            box.in_hand = message
            box.hooks.received(self._traced, message, token)
            return message
        message = await box.receive()
        if message is NOTHING:
            raise StopAsyncIteration
        return message
