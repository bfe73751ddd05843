"""Keyed timers of one actor, without a task: they are looked at when the actor receives.

A timer only ever results in a message for the actor's own receive, so nobody can tell whether it fired at its
instant or at the first receive after it. That makes three things free: timers end with their actor, a timer
that was replaced or cancelled never leaves a stale message behind, and an idle actor needs no second task.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import trio


class Timers:
    """At most one timer per key. A due timer's message is received before all queued user messages."""

    __slots__ = ("_due", "_rearm")

    def __init__(self, rearm: Callable[[], None]) -> None:
        self._due: dict[Hashable, tuple[float, float | None, Any]] = {}
        self._rearm = rearm

    def start(self, key: Hashable, seconds: float, message: Any, *, every: bool = False) -> None:
        """Deliver `message` to this actor in `seconds` seconds (or every `seconds`), replacing the key's
        timer.

        With `every`, ticks that were missed during a long handler are one tick, not many.

        Raises:
            ValueError: `seconds` is negative or not a number, or not positive with `every`.
        """
        if not seconds >= 0 or (every and seconds == 0):
            raise ValueError(
                f"a timer needs a time that is not negative, and positive if repeated, not {seconds!r}"
            )
        self._due.pop(key, None)
        self._due[key] = (trio.current_time() + seconds, seconds if every else None, message)
        self._rearm()

    def cancel(self, key: Hashable) -> bool:
        """Forget the key's timer. Returns whether there was one; after it, its message is never received."""
        return self._due.pop(key, None) is not None

    def clear(self) -> None:
        """Forget all timers."""
        self._due.clear()

    def next_due(self) -> float:
        """The time, on trio's clock, at which the earliest timer is due; infinity without one."""
        return min((due for due, _, _ in self._due.values()), default=float("inf"))

    def take(self, now: float) -> tuple[Any] | None:
        """Take the message of the earliest timer that is due at `now`, in a tuple; `None` if none is."""
        if not self._due:
            return None
        key = min(self._due, key=lambda k: self._due[k][0])
        due, period, message = self._due[key]
        if due > now:
            return None
        del self._due[key]
        if period is not None:
            self._due[key] = (now + period, period, message)
        return (message,)

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._due

    def __repr__(self) -> str:
        return f"<Timers {list(self._due)!r}>"
