"""Who listens: bounded backlogs, so that a subscriber that hangs costs the others nothing.

Publishing appends one batch (a list that all subscribers share) to each backlog and never waits. A
subscriber that does not take its events loses the oldest ones past its limit, and learns how many:
`x-optio-dropped` stands in their place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Generic, TypeVar

import trio

from optio_agents.conversation.values import Event

DROPPED = "x-optio-dropped"

T = TypeVar("T")


class Backlog(Generic[T]):
    """Batches for one reader, up to `items` items and `size` bytes; the newest batch is always kept."""

    def __init__(self, items: int, size: int) -> None:
        self._limit = items
        self._size_limit = size
        self._batches: deque[tuple[Sequence[T], int]] = deque()
        self._items = 0
        self._size = 0
        self._dropped = 0
        self._dropped_in_all = 0
        self._ended = False
        self._changed = trio.Event()

    @property
    def dropped(self) -> int:
        """How many items were dropped in all."""
        return self._dropped_in_all

    def put(self, batch: Sequence[T], size: int) -> None:
        """Append a batch; `size` is what it weighs in bytes."""
        self._batches.append((batch, size))
        self._items += len(batch)
        self._size += size
        while (self._items > self._limit or self._size > self._size_limit) and len(self._batches) > 1:
            self._dropped += len(self._take()[0])
        self._changed.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._changed.set()

    async def get(self) -> tuple[int, Sequence[T]] | None:
        """Wait for the next batch: how many items were dropped before it, and the batch; `None` at the end."""
        await trio.lowlevel.checkpoint()
        while not self._batches:
            if self._ended:
                return None
            self._changed = trio.Event()
            await self._changed.wait()
        dropped, self._dropped = self._dropped, 0
        self._dropped_in_all += dropped
        return dropped, self._take()[0]

    def _take(self) -> tuple[Sequence[T], int]:
        batch, size = self._batches.popleft()
        self._items -= len(batch)
        self._size -= size
        return batch, size


class Subscription(AsyncIterator[Event]):
    """The events of a conversation, one after another, for one reader.

    Iterate over it once; the iteration ends after the conversation's last event (`x-optio-closed`). Use it
    as a context manager, or `close` it, to stop subscribing earlier.
    """

    def __init__(self, backlog: Backlog[Event], group: Subscribers[Event]) -> None:
        self._backlog = backlog
        self._group = group
        self._batch: deque[Event] = deque()

    @property
    def dropped(self) -> int:
        """How many events this subscriber lost because it did not take them."""
        return self._backlog.dropped

    async def batch(self) -> list[Event] | None:
        """Everything that is there, at least one event; `None` at the end. Faster than one at a time."""
        if self._batch:
            taken = list(self._batch)
            self._batch.clear()
            await trio.lowlevel.checkpoint()
            return taken
        got = await self._backlog.get()
        if got is None:
            return None
        dropped, batch = got
        gap = [Event({"type": DROPPED, "count": dropped})] if dropped else []
        return [*gap, *batch]

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        if not self._batch:
            batch = await self.batch()
            if batch is None:
                raise StopAsyncIteration
            self._batch.extend(batch)
        return self._batch.popleft()

    def close(self) -> None:
        """Receive nothing more. Idempotent."""
        self._group.remove(self._backlog)
        self._backlog.end()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Subscribers(Generic[T]):
    """All backlogs of one kind of item."""

    def __init__(self, items: int, size: int) -> None:
        self._limits = items, size
        self._backlogs: list[Backlog[T]] = []
        self._ended = False

    def add(self) -> Backlog[T]:
        """A new backlog, empty; it has ended already if the group has."""
        backlog: Backlog[T] = Backlog(*self._limits)
        if self._ended:
            backlog.end()
        else:
            self._backlogs.append(backlog)
        return backlog

    def remove(self, backlog: Backlog[T]) -> None:
        """Publish nothing more to it. Idempotent."""
        if backlog in self._backlogs:
            self._backlogs.remove(backlog)

    def publish(self, batch: Sequence[T], size: int = 0) -> None:
        """Give `batch` to everybody; it must not change afterwards."""
        for backlog in self._backlogs:
            backlog.put(batch, size)

    def end(self) -> None:
        """Nothing more is published."""
        self._ended = True
        for backlog in self._backlogs:
            backlog.end()
        self._backlogs.clear()

    def __len__(self) -> int:
        return len(self._backlogs)
