"""A work queue: the parser adds items without waiting, and one actor processes them in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import trio

import actors
from optio_agents.hosts.base import WINDOW_LIMIT
from optio_agents.session.spool import Spool
from optio_agents.session.verdict import Trouble

T = TypeVar("T")

MEMORY = 2 * WINDOW_LIMIT
"""How much of a queue is kept in memory, in characters of the log: the current window and the next one."""

PATIENCE = 0.2
"""Seconds that the tailer waits for room in a queue before it reads on. Short enough that DONE, ERROR and ATTENTION
are seen promptly despite a stuck callback, long enough for a queue that is only busy."""


class Wake:
    """There is something in the queue. At most one of these waits in the mailbox; more would be redundant."""


WAKE = Wake()


class WorkQueue(Generic[T]):
    """A spool and the actor that processes it.

    The parser must see DONE, ERROR and ATTENTION even if many deliverables or messages wait, so it never blocks on a
    queue. Memory must not grow, so the spool continues in a file. As long as the actor makes progress, `room` applies
    backpressure, so that an ordinary flood does not go through the file.
    """

    def __init__(self) -> None:
        self.spool: Spool[T] = Spool(MEMORY)
        self.in_progress = 0
        """How many things the actor is processing."""
        self.ref: actors.Ref[Wake] | None = None
        """The actor. A queue has none until there is something in it: see `WorkQueues.start_worker`."""
        self.on_settled: Callable[[], None] | None = None
        """Called after each settled item."""
        self._dropped = 0
        self._woken = False
        self._stuck = False
        self._room: trio.Event | None = None  # while the tailer waits

    def put(self, item: T, size: int, count: int = 1) -> None:
        """Append `item` (whose text is about `size` characters long) and wake the actor.

        `count` is the number of things in it that are settled one by one.

        Raises:
            OSError: the spool's file cannot be written.
        """
        if self._is_open(count):
            self.spool.put(item, size, count)
            self._wake()

    @property
    def needs_worker(self) -> bool:
        """Whether it has items and no actor that processes them."""
        return self.ref is None and len(self.spool) > 0

    def attach_worker(self, ref: actors.Ref[Wake]) -> None:
        """Note that the queue's actor has started, and wake it."""
        self.ref = ref
        self._wake()

    def _is_open(self, count: int) -> bool:
        if self.ref is None or self.ref.exit is None:
            return True
        self._dropped += count  # user code asked for the exit, and the parser has not been stopped yet
        return False

    def _wake(self) -> None:
        if self.ref is not None and not self._woken:
            with suppress(actors.MailboxFull):
                self.ref.try_tell(WAKE)
            self._woken = True

    async def room(self) -> None:
        """Wait until the queue has room. If its actor makes no progress, do not wait again until the queue is empty."""
        while self.spool.is_over_high_water and not self._stuck:
            room = self._room = trio.Event()
            with trio.move_on_after(PATIENCE) as patience:
                await room.wait()
            self._stuck = patience.cancelled_caught

    def take(self, limit: int) -> list[T]:
        """Remove and return items, until their counts reach `limit`. They are in progress until the next `take`."""
        waiting = len(self.spool)
        items = self.spool.take(limit)
        self.in_progress = waiting - len(self.spool)
        if not items:
            self._stuck = False
            self._woken = False
        if self._room is not None and not self.spool.is_over_high_water:
            self._room.set()
        return items

    def settle(self) -> None:
        """Note that one of the items in progress is settled."""
        self.in_progress -= 1
        if self.on_settled is not None:
            self.on_settled()

    @property
    def unsettled(self) -> int:
        """How much waits, is in progress, or was cut off."""
        return len(self.spool) + self.in_progress + self._dropped

    def close(self) -> None:
        """Drop what still waits (it stays counted as unsettled), and the spool's file."""
        self._dropped += len(self.spool)
        self.spool.close()


async def run_worker(
    me: actors.Me[Wake],
    queue: WorkQueue[T],
    handle: Callable[[list[T], Callable[[], None]], Awaitable[None]],
    tell: Callable[[Trouble], None],
    *,
    batch: int,
) -> None:
    """The actor: pass on what waits, in order, `batch` at once. An orderly stop drains the queue.

    Args:
        handle: gets the items, and a function to call after each settled item.
        tell: sends a fact to the resolver: `SystemExit` or `KeyboardInterrupt` that user code raised.
    """
    try:
        async for _ in me:
            while items := queue.take(batch):
                await handle(items, queue.settle)
                await trio.lowlevel.checkpoint()  # a handler that only refuses never waits
    except (Exception, trio.Cancelled):
        raise
    except BaseException as error:  # noqa: BLE001 - passed on to the one place that decides
        tell(Trouble(error))
    finally:
        queue.close()
