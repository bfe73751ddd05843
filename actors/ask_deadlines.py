"""The deadlines of asks: one task for all of them, in the nursery of the outermost supervisor.

A cancel scope with a deadline around each ask costs as much as the two task switches of the ask. Here an ask adds an
entry to a heap, and removes it. The task sleeps until the earliest deadline that there was when it fell asleep. Nearly
all asks are answered long before their deadlines, so it seldom wakes. It is started with the first ask.

When the task is cancelled with its block, an actor may still clean up and answer: the asks that still wait
get their deadlines back, and go on with cancel scopes of their own.
"""

from __future__ import annotations

import heapq
from typing import Any

import trio
from trio.lowlevel import enable_ki_protection

from actors.reply import Reply

FOREVER = float("inf")


class AskDeadlines:
    """Which asks are open in a tree of supervisors, and until when."""

    __slots__ = ("_armed", "_is_over", "_name", "_next", "_nursery", "_open", "_order", "_scope")

    def __init__(self, nursery: trio.Nursery, name: str) -> None:
        """`nursery` and `name` are those of the outermost supervisor."""
        self._nursery: trio.Nursery | None = nursery  # until the task is started
        self._name = name
        self._order: list[tuple[float, int]] = []  # a heap; also those that are over, see `_tidy`
        self._open: dict[int, Reply[Any]] = {}
        self._next = 0
        self._armed = FOREVER  # when the task wakes
        self._scope: trio.CancelScope | None = None  # while the task sleeps
        self._is_over = False

    @enable_ki_protection
    def add(self, reply: Reply[Any], due: float) -> int | None:
        """Wake the asker of `reply` at `due`, on Trio's clock, unless it is forgotten first.

        Returns:
            The entry's number; `None` if no task watches it: the asker must.
        """
        if self._nursery is not None:
            self._begin(self._nursery)
        if self._is_over:
            return None
        number = self._next
        self._next += 1
        self._open[number] = reply
        if due != FOREVER:
            heapq.heappush(self._order, (due, number))
            if due < self._armed:
                self._armed = due
                if self._scope is not None:
                    self._scope.deadline = due
            elif len(self._order) > 2 * len(self._open) + 16:
                self._tidy()
        return number

    def forget(self, number: int) -> None:
        """That asker no longer waits."""
        self._open.pop(number, None)

    def end(self) -> None:
        """No actor is left: end the task. Idempotent."""
        self._is_over = True
        self._nursery = None
        if self._scope is not None:
            self._scope.cancel("the supervisor has been left")

    async def watch(self) -> None:
        """The task: wake each asker whose deadline has passed."""
        try:
            while not self._is_over:
                with trio.CancelScope(deadline=self._armed) as self._scope:
                    await trio.sleep_forever()
                self._expire(trio.current_time())
        finally:
            self._hand_back()

    def _begin(self, nursery: trio.Nursery) -> None:
        self._nursery = None
        try:
            nursery.start_soon(self.watch, name=f"ask deadlines of {self._name}")
        except RuntimeError:  # it has just closed
            self._is_over = True

    @enable_ki_protection
    def _expire(self, now: float) -> None:
        order = self._order
        while order and (order[0][0] <= now or order[0][1] not in self._open):
            _, number = heapq.heappop(order)
            if (reply := self._open.pop(number, None)) is not None:
                reply._expire()
        self._armed = order[0][0] if order else FOREVER

    @enable_ki_protection
    def _hand_back(self) -> None:
        self._is_over = True
        for reply in self._open.values():
            reply._hand_back()
        self._open.clear()
        self._order.clear()

    def _tidy(self) -> None:
        """Most entries are of asks that are over: build the heap again without them."""
        self._order = [entry for entry in self._order if entry[1] in self._open]
        heapq.heapify(self._order)
