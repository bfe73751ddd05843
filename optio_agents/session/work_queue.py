"""A queue: what the parser puts down without ever waiting, and one actor that works it off in order."""

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
"""How much of a queue is kept in memory, in characters of the log: a window that is worked off, and the next one."""

PATIENCE = 0.2
"""Seconds that the parser waits for a full queue before it reads on regardless. Short enough that DONE, ERROR and
ATTENTION behind a stuck callback are seen at once, long enough for a queue that is merely busy."""


class Wake:
    """There is something in the queue. One of these waits in the mailbox at most; more would say nothing new."""


WAKE = Wake()


class WorkQueue(Generic[T]):
    """A spool and the actor behind it.

    The parser must see DONE, ERROR and ATTENTION however many deliverables or messages wait, so it never blocks on a
    queue; and memory must not grow, so the queue's spool goes on in a file.

    That must not mean that a flood goes through the file while the actor keeps up: `room` is the backpressure, for as
    long as it moves.
    """

    def __init__(self) -> None:
        self.spool: Spool[T] = Spool(MEMORY)
        self.in_hand = 0
        """How much the actor is working on."""
        self.ref: actors.Ref[Wake] | None = None
        """The actor. A queue has none until there is something in it: see `WorkQueues.man`."""
        self.on_settled: Callable[[], None] | None = None
        """Called whenever an item has been dealt with."""
        self._dropped = 0
        self._woken = False
        self._stuck = False
        self._room = trio.Event()

    def put(self, item: T, size: int, count: int = 1) -> None:
        """Append `item` (whose text is about `size` characters long) and wake the actor.

        `count` is how many things it stands for that are settled one by one.

        Raises:
            OSError: the spool's file cannot be written.
        """
        if self._is_open(count):
            self.spool.put(item, size, count)
            self._wake()

    @property
    def is_unmanned(self) -> bool:
        """Whether there is something in it and no actor to work it off."""
        return self.ref is None and len(self.spool) > 0

    def man(self, ref: actors.Ref[Wake]) -> None:
        """The actor has started."""
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
        """Wait while the queue is crowded and moving. One that does not move is not waited for until it is empty."""
        while self.spool.crowded and not self._stuck:
            self._room = trio.Event()
            with trio.move_on_after(PATIENCE) as patience:
                await self._room.wait()
            self._stuck = patience.cancelled_caught

    def take(self, limit: int) -> list[T]:
        """Remove and return items, until they count `limit` together: they are in hand until the next `take`."""
        waiting = len(self.spool)
        items = self.spool.take(limit)
        self.in_hand = waiting - len(self.spool)
        if not items:
            self._stuck = False
            self._woken = False
        if not self.spool.crowded:
            self._room.set()
        return items

    def settle(self) -> None:
        """One of the items in hand has been dealt with."""
        self.in_hand -= 1
        if self.on_settled is not None:
            self.on_settled()

    @property
    def unsettled(self) -> int:
        """How much waits, is being worked on, or was cut off."""
        return len(self.spool) + self.in_hand + self._dropped

    def close(self) -> None:
        """Drop what still waits (it stays counted as unsettled) and the spool's file."""
        self._dropped += len(self.spool)
        self.spool.close()


async def work_off(
    me: actors.Me[Wake],
    queue: WorkQueue[T],
    handle: Callable[[list[T], Callable[[], None]], Awaitable[None]],
    tell: Callable[[Trouble], None],
    *,
    batch: int,
) -> None:
    """The actor: hand over what waits, in order, `batch` at once; an ordered stop drains the queue.

    Args:
        handle: takes the items, and a function to call whenever one of them has been dealt with.
        tell: lets the resolver hear a fact; user code that raises `SystemExit` or `KeyboardInterrupt` goes there.
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
