"""Restart maths, sans-IO: how often a supervisor may restart, how long it waits, and whom it restarts."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from actors.exits import ExitKind

T = TypeVar("T")


class Strategy(enum.Enum):
    """Whom a failure takes along."""

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


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart: `first` seconds, then `factor` times as long each time, `limit` at
    most.

    It starts over when no restart lies within the intensity's window any more.
    """

    first: float = 0.1
    factor: float = 2.0
    limit: float = 5.0

    def delay(self, count: int) -> float:
        """Seconds before the restart number `count` (from 1) of the window."""
        try:
            return min(self.limit, self.first * self.factor ** (count - 1))
        except OverflowError:
            return self.limit


NO_BACKOFF = Backoff(first=0.0, limit=0.0)


@dataclass(frozen=True, slots=True)
class Intensity:
    """At most `restarts` restarts within `seconds`; one more escalates. With `restarts=0` the first
    failure does, and so does a failure of a kind that is not among `causes`: one that a restart cannot help.
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
    """The restarts of the last `intensity.seconds`, as a sliding window.

    One for each life of a supervisor, or of a child that has an intensity of its own.
    """

    intensity: Intensity
    _times: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many restarts it remembers."""
        return len(self._times)

    def record(self, now: float, cause: BaseException | None = None) -> float | None:
        """Account for a restart at `now`: seconds to wait before it, or `None` if there is to be none.

        Args:
            cause: what the child raised; `None` if it ended by itself.
        """
        while self._times and now - self._times[0] > self.intensity.seconds:
            self._times.pop(0)
        if cause is not None and not isinstance(cause, self.intensity.causes):
            return None
        if len(self._times) >= self.intensity.restarts:
            return None
        self._times.append(now)
        return self.intensity.backoff.delay(len(self._times))
