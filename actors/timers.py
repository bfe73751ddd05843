"""Keyed timers of one actor, without a task: they are looked at when the actor receives.

A timer only ever results in a message for the actor's own receive, so nothing can tell whether it fired at its
instant or at the first receive after it. That makes three things free: timers end with their actor, a timer
that was replaced or cancelled never leaves a stale message behind, and an idle actor needs no second task.

They are in a heap, by the time at which they are due: starting one and taking the next one cost O(log n). A timer that
was cancelled or replaced stays in the heap until it comes up, or until such timers are the greater part of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import trio

M = TypeVar("M")


class Timer:
    """One entry of the heap. Ordered by the time at which it is due, then by the order of their starts."""

    __slots__ = ("due", "fixed_rate", "key", "message", "number", "period")

    def __init__(
        self, key: Hashable, due: float, number: int, message: Any, period: float | None, fixed_rate: bool
    ) -> None:
        self.key = key
        self.due = due
        self.number = number
        self.message = message
        self.period = period
        self.fixed_rate = fixed_rate

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.number) < (other.due, other.number)

    def next_due(self, now: float) -> float:
        """When a repeated timer that is taken at `now` is due again."""
        assert self.period is not None
        if not self.fixed_rate:
            return now + self.period
        missed = max(0.0, now - self.due) // self.period
        return self.due + (missed + 1) * self.period


class Timers(Generic[M]):
    """At most one timer per key. Due timers and queued user messages take turns, a due timer first.

    They end with the actor's run, and with a stop: an actor that drains its mailbox hears of no timer any more.
    """

    __slots__ = ("_by_key", "_heap", "_number", "_rearm", "_took_last")

    def __init__(self, rearm: Callable[[], None]) -> None:
        self._by_key: dict[Hashable, Timer] = {}
        self._heap: list[Timer] = []
        self._number = 0
        self._took_last = False  # the actor's last message was a timer's
        self._rearm = rearm

    def start(
        self, key: Hashable, seconds: float, message: M, *, every: bool = False, fixed_rate: bool = False
    ) -> None:
        """Deliver `message` to this actor in `seconds` seconds (or every `seconds`), replacing the key's
        timer.

        With `every`, the time to the next tick counts from when the actor takes a tick (a fixed delay). With
        `fixed_rate` too, ticks are due at multiples of `seconds` after the start, so that a tick that is taken late
        does not make the later ones late. Either way, ticks that were missed during a long handler are one tick.

        Raises:
            ValueError: `seconds` is negative or not a number, or not positive with `every`; or `fixed_rate` without
                `every`.
        """
        if not seconds >= 0 or (every and seconds == 0):
            raise ValueError(
                f"a timer needs a time that is not negative, and positive if repeated, not {seconds!r}"
            )
        if fixed_rate and not every:
            raise ValueError("fixed_rate is about repeated timers: it needs every=True")
        due = trio.current_time() + seconds
        self._push(Timer(key, due, self._number, message, seconds if every else None, fixed_rate))
        self._rearm()

    def cancel(self, key: Hashable) -> bool:
        """Forget the key's timer. Returns whether there was one; after it, its message is never received."""
        if self._by_key.pop(key, None) is None:
            return False
        self._tidy()
        return True

    def clear(self) -> None:
        """Forget all timers."""
        self._by_key.clear()
        self._heap.clear()

    def next_due(self) -> float:
        """The time, on trio's clock, at which the earliest timer is due; infinity without one."""
        first = self._first()
        return float("inf") if first is None else first.due

    def take(self, now: float, others_wait: bool = False) -> tuple[M] | None:
        """Take the message of the earliest timer that is due at `now`, in a tuple; `None` if none is.

        If `others_wait` (there are user messages), every second call gives them their turn.
        """
        timer = self._first()
        if timer is None or timer.due > now:
            self._took_last = False
            return None
        if self._took_last and others_wait:
            self._took_last = False
            return None
        self._took_last = True
        heapq.heappop(self._heap)
        del self._by_key[timer.key]
        if timer.period is not None:
            due = timer.next_due(now)
            self._push(Timer(timer.key, due, self._number, timer.message, timer.period, timer.fixed_rate))
        return (timer.message,)

    def _push(self, timer: Timer) -> None:
        self._number += 1
        self._by_key[timer.key] = timer
        heapq.heappush(self._heap, timer)
        self._tidy()

    def _first(self) -> Timer | None:
        heap = self._heap
        while heap and self._by_key.get(heap[0].key) is not heap[0]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _tidy(self) -> None:
        """Build the heap again when most of it was cancelled or replaced."""
        if len(self._heap) > 2 * len(self._by_key) + 8:
            self._heap = list(self._by_key.values())
            heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._by_key

    def __repr__(self) -> str:
        return f"<Timers {list(self._by_key)!r}>"
