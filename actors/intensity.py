"""Restart maths, sans-IO: how often a supervisor may restart, how long it waits, and which children it restarts."""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from actors.exits import ExitKind

T = TypeVar("T")


class Strategy(enum.Enum):
    """Which children are restarted after a failure."""

    ONE_FOR_ONE = "one_for_one"
    """Only the child that failed is restarted."""
    ONE_FOR_ALL = "one_for_all"
    """All children are restarted: they cannot work without each other."""
    REST_FOR_ONE = "rest_for_one"
    """The child that failed and those started after it are restarted: the later ones depend on the
    earlier.
    """

    def affected(self, children: Sequence[T], failed: T) -> list[T]:
        """Who is restarted when `failed` fails, in start order. `children` is in start order too."""
        if self is Strategy.ONE_FOR_ONE:
            return [failed]
        if self is Strategy.ONE_FOR_ALL:
            return list(children)
        return list(children[children.index(failed) :])


class Restart(enum.Enum):
    """When a child is restarted."""

    PERMANENT = "permanent"
    """Always, except after a stop or a cancel: it has no business ending by itself."""
    TRANSIENT = "transient"
    """After a failure only."""
    TEMPORARY = "temporary"
    """Never, and it does not take part in a restart of all."""

    def after(self, kind: ExitKind) -> bool:
        """Whether an end of this kind is followed by a restart."""
        if self is Restart.PERMANENT:
            return kind in (ExitKind.FAILED, ExitKind.FINISHED)
        return self is Restart.TRANSIENT and kind is ExitKind.FAILED


chance = random.Random()
"""Where jitter comes from. `actors.testing.run_seeded` seeds it."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits before restarts: `first` seconds, then `factor` times as long each time, at most `limit`.

    The waits grow until a run lasts longer than the intensity's window; the next failure then begins at `first`.
    `jitter` is the largest share of a wait that is subtracted at random (0.1: up to a tenth), so that actors that
    failed together do not restart together.
    """

    first: float = 0.1
    factor: float = 2.0
    limit: float = 5.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.jitter <= 1 or not self.first >= 0 or not self.limit >= 0 or not self.factor >= 1:
            raise ValueError(
                f"a backoff needs first >= 0, factor >= 1, limit >= 0 and jitter from 0 to 1, not {self!r}"
            )

    def delay(self, count: int, luck: float = 0.0) -> float:
        """Seconds before the restart number `count` (from 1) in a row; `luck` from 0 to 1 chooses the jitter."""
        try:
            delay = min(self.limit, self.first * self.factor ** (count - 1))
        except OverflowError:
            delay = self.limit
        return delay * (1 - self.jitter * luck)


NO_BACKOFF = Backoff(first=0.0, limit=0.0, jitter=0.0)


@dataclass(frozen=True, slots=True)
class Intensity:
    """At most `restarts` restarts within `seconds`; one more escalates.

    With `restarts=0` the first failure escalates. So does a failure whose type is not among `causes`, because a restart
    cannot help.
    """

    restarts: int = 2
    seconds: float = 5.0
    backoff: Backoff = NO_BACKOFF
    causes: tuple[type[Exception], ...] = (Exception,)

    def __post_init__(self) -> None:
        if self.restarts < 0 or not self.seconds > 0:
            raise ValueError(f"an intensity needs restarts >= 0 and seconds > 0, not {self!r}")


@dataclass(slots=True)
class RestartHistory:
    """The restarts of the last `intensity.seconds`, as a sliding window, and those that followed each other.

    The waits before restarts do not count in the window, so a child that always fails escalates even with a long
    backoff. There is one history for each life of a supervisor, or of a child with an intensity of its own.
    """

    intensity: Intensity
    _times: list[float] = field(default_factory=list)  # on the clock that stands still during backoff
    _in_a_row: int = 0
    _waited: float = 0.0  # seconds of backoff in all, also those to come
    _resume: float = float("-inf")  # when the present backoff is over

    @property
    def count(self) -> int:
        """The number of restarts in the window."""
        return len(self._times)

    def record(self, now: float, cause: BaseException | None = None) -> float | None:
        """Record a restart at `now`; return the seconds to wait before it, or `None` if the child must not restart.

        Args:
            cause: the child's exception; `None` if it returned.
        """
        running = now - self._waited + max(0.0, self._resume - now)
        while self._times and running - self._times[0] > self.intensity.seconds:
            self._times.pop(0)
        if not self._times:
            self._in_a_row = 0
        if cause is not None and not isinstance(cause, self.intensity.causes):
            return None
        if len(self._times) >= self.intensity.restarts:
            return None
        self._times.append(running)
        self._in_a_row += 1
        delay = self.intensity.backoff.delay(self._in_a_row, chance.random())
        self._waited += max(0.0, now + delay - max(self._resume, now))
        self._resume = max(self._resume, now + delay)
        return delay
