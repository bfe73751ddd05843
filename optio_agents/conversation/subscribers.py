"""Subscribers with bounded backlogs, so that one that hangs delays the others only briefly.

Publishing appends one batch (a list that all subscribers share) to each backlog and never waits, because the
conversation's actor must not. Instead, the reading of the agent's output waits (`Subscribers.room`): without a limit
for a subscriber that makes progress, for a short time for one that does not. That one is stuck then. It loses the
oldest ordinary events past its limit; an `x-optio-dropped` event in their place has their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, TypeVar

import trio

from optio_agents.conversation.values import Event

DROPPED = "x-optio-dropped"

TAKEN_AT_ONCE = 1024
"""About how many items a reader takes from its backlog at once."""

KEPT_LIMIT = 10_000
"""How many items that are not dropped a backlog keeps of those that were; of more, the older half goes."""

T = TypeVar("T")


def dropped_event(count: int) -> Event:
    """The event that replaces the dropped ones."""
    return Event({"type": DROPPED, "count": count})


class Backlog(Generic[T]):
    """Batches for one reader, up to `items` items and `size` bytes.

    While it is not `stuck` it keeps everything. A stuck one keeps the newest batches, and the items that `keeps`
    selects, up to `KEPT_LIMIT` and `size` bytes.
    """

    def __init__(self, items: int, size: int, keeps: Callable[[T], bool], moved: Callable[[], None]) -> None:
        self._limit = items
        self._size_limit = size
        self._keeps = keeps
        self._moved = moved
        self._batches: deque[tuple[Sequence[T], int]] = deque()
        self._items = 0
        self._size = 0
        self._kept: list[T] = []  # older than all batches, from among what was dropped
        self._kept_size = 0
        self._dropped = 0
        self._dropped_in_all = 0
        self._ended = False
        self._changed = trio.Event()
        self.in_hand: deque[T] = deque()
        """What its reader has taken and not dealt with, where it says so by taking it from here."""
        self.moves = 0
        """How often its reader has taken or dealt with something."""
        self.stuck = False
        """Its reader has not moved for a while: it is not waited for."""

    @property
    def dropped(self) -> int:
        """The total number of dropped items."""
        return self._dropped_in_all

    @property
    def full(self) -> bool:
        """Whether it holds more than its limits allow."""
        return self._items > self._limit or self._size > self._size_limit

    @property
    def progress(self) -> tuple[int, int]:
        """A value that changes when its reader makes progress."""
        return self.moves, len(self.in_hand)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes and everything was taken."""
        return self._ended and not self._batches and not self._kept

    def put(self, batch: Sequence[T], size: int) -> None:
        """Append a batch of about `size` bytes."""
        self._batches.append((batch, size))
        self._items += len(batch)
        self._size += size
        while self.stuck and self.full and len(self._batches) > 1:
            self._drop()
        self._changed.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._changed.set()

    async def wait(self) -> None:
        """Wait until something can be taken, or nothing more comes."""
        await trio.lowlevel.checkpoint()
        while not self._batches and not self._kept and not self._ended:
            self._changed = trio.Event()
            await self._changed.wait()

    def take(self) -> tuple[int, list[T]]:
        """Some or all available items, and the number of items that were dropped before them."""
        dropped, self._dropped = self._dropped, 0
        self._dropped_in_all += dropped
        items, self._kept, self._kept_size = self._kept, [], 0
        while self._batches and len(items) < TAKEN_AT_ONCE:
            items += self._pop()[0]
        self.move()
        return dropped, items

    async def get(self) -> tuple[int, list[T]] | None:
        """Wait for the next items; return them with the number of items dropped before them; `None` at the end."""
        await self.wait()
        return None if self.ended else self.take()

    def move(self) -> None:
        """Note that its reader has handled something."""
        self.moves += 1
        self.stuck = False
        self._moved()

    def _pop(self) -> tuple[Sequence[T], int]:
        batch, size = self._batches.popleft()
        self._items -= len(batch)
        self._size -= size
        return batch, size

    def _drop(self) -> None:
        batch, size = self._pop()
        kept = [item for item in batch if self._keeps(item)]
        self._kept += kept
        self._kept_size += size * len(kept) // max(1, len(batch))
        if len(self._kept) > KEPT_LIMIT or self._kept_size > self._size_limit:
            surplus = max(1, len(self._kept) // 2)
            del self._kept[:surplus]
            self._kept_size //= 2
            self._dropped += surplus
        self._dropped += len(batch) - len(kept)


class Subscription(AsyncIterator[T]):
    """The items of one kind (events, results) of a conversation, one after another, for one reader.

    Iterate over it once; the iteration ends after the conversation's last item. Use it as a context manager, or
    `close` it, to stop subscribing earlier.
    """

    def __init__(self, backlog: Backlog[T], group: Subscribers[T]) -> None:
        self._backlog = backlog
        self._group = group
        self._batch = backlog.in_hand

    @property
    def dropped(self) -> int:
        """The number of items that were dropped because this subscriber did not take them."""
        return self._backlog.dropped

    async def get(self) -> tuple[int, list[T]] | None:
        """The available items, with the number of items dropped before them; `None` at the end."""
        return await self._backlog.get()

    async def batch(self) -> list[T] | None:
        """All available items, at least one; `None` at the end. Faster than one at a time."""
        if self._batch:
            await trio.lowlevel.checkpoint()
        else:
            await self._backlog.wait()
        return self.take()

    async def wait(self) -> None:
        """Wait until `take` returns something."""
        await self._backlog.wait()

    def take(self) -> list[T] | None:
        """All available items, possibly none; `None` at the end. Never waits."""
        if not self._batch:
            if self._backlog.ended:
                return None
            dropped, items = self._backlog.take()
            gap = self._group.gap(dropped) if dropped and self._group.gap is not None else None
            return items if gap is None else [gap, *items]
        taken = list(self._batch)
        self._batch.clear()
        return taken

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        while not self._batch:
            batch = await self.batch()
            if batch is None:
                raise StopAsyncIteration
            self._batch.extend(batch)
        return self._batch.popleft()

    def close(self) -> None:
        """Receive nothing more. Idempotent."""
        self._group.remove(self._backlog)
        self._backlog.end()

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Subscribers(Generic[T]):
    """All backlogs of one kind of item.

    Args:
        items, size: The limits of each backlog, in items and bytes.
        keeps: Which items a stuck subscriber does not lose.
        gap: Makes the item that replaces the dropped ones, if there is one.
        patience: Seconds without progress after which a reader is stuck.
    """

    def __init__(
        self,
        items: int,
        size: int,
        *,
        keeps: Callable[[T], bool],
        gap: Callable[[int], T] | None = None,
        patience: float = 1.0,
    ) -> None:
        self._limits = items, size
        self._keeps = keeps
        self.gap = gap
        self._patience = patience
        self._backlogs: list[Backlog[T]] = []
        self._ended = False
        self._room: tuple[trio.Event, trio.lowlevel.TrioToken] | None = None

    def add(self) -> Backlog[T]:
        """A new backlog, empty; it has ended already if the group has."""
        backlog: Backlog[T] = Backlog(*self._limits, self._keeps, self._moved)
        if self._ended:
            backlog.end()
        else:
            self._backlogs.append(backlog)
        return backlog

    def subscribe(self) -> Subscription[T]:
        """A subscription to everything from now on."""
        return Subscription(self.add(), self)

    def remove(self, backlog: Backlog[T]) -> None:
        """Stop publishing to it. Idempotent."""
        if backlog in self._backlogs:
            self._backlogs.remove(backlog)
            self._moved()

    def publish(self, batch: Sequence[T], size: int = 0) -> None:
        """Give `batch` to all of them; it must not change afterwards."""
        for backlog in self._backlogs:
            backlog.put(batch, size)

    async def room(self) -> None:
        """Wait while the backlog of a reader that makes progress is full. A reader without progress becomes stuck."""
        while blocking := [(each, each.progress) for each in self._backlogs if each.full and not each.stuck]:
            moved = trio.Event()
            self._room = moved, trio.lowlevel.current_trio_token()
            with trio.move_on_after(self._patience) as patience:
                await moved.wait()
            self._room = None
            if patience.cancelled_caught:
                for backlog, progress in blocking:
                    backlog.stuck = backlog.progress == progress

    def end(self) -> None:
        """Nothing more is published."""
        self._ended = True
        for backlog in self._backlogs:
            backlog.end()
        self._backlogs.clear()
        self._moved()

    def __len__(self) -> int:
        return len(self._backlogs)

    def _moved(self) -> None:
        if self._room is None:
            return
        moved, token = self._room
        if trio.lowlevel.in_trio_run():
            moved.set()
        else:
            # An asyncio reader takes its items outside of the Trio run.
            self._room = None
            token.run_sync_soon(moved.set)


def keeps_event(event: Event) -> bool:
    """Results, requests and the end are not dropped."""
    return event.kept


def keeps_all(_: Any) -> bool:
    """Nothing of it is dropped."""
    return True
