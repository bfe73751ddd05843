"""Which of a log's messages reach `ctx.report_progress`, when, and in which order.

optio-core writes every message of a quiet process to the database. If more than ten arrive within a tenth of a
second, it keeps the last one and writes `(N messages dropped)` before it. For a busy log, 100,000 calls would then
leave two messages. `ProgressCoalescer` applies the same rule before the calls are made:

- As long as at most ten messages arrive within a tenth of a second, each is passed on at once, in order.
- Of a burst it passes on the first few, then the number of dropped messages, then the last one with its own
  percentage. These are never so many that optio-core would drop one of them.

So every message of the log is shown or counted, and the progress ends with the same percentage and text as if every
line had been reported. Sans-IO: the time is an argument, in seconds of any clock that does not go backwards.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from optio_agents.protocol.display import display_text
from optio_agents.protocol.line_run import LineRun, Message

Call: TypeAlias = tuple[float | None, str]
"""The arguments of one call of `ctx.report_progress`: a percentage or `None`, and a text."""

WINDOW: Final = 0.1
"""Seconds. optio-core's `AVALANCHE_WINDOW`."""

QUIET_LIMIT: Final = 10
"""Up to this many messages within the window are all kept. optio-core's `AVALANCHE_THRESHOLD`."""

# The end of a burst: the number of dropped messages, and the last one.
_SUMMARY: Final = 2
# Calls for a burst. They leave room for another summary in case the log ends.
_BURST_LIMIT: Final = QUIET_LIMIT - _SUMMARY
_MARGIN: Final = 0.01  # seconds: optio-core reads its clock slightly later than this code


class _Source(Protocol):
    """Where messages come from: a run, or a single one."""

    @property
    def count(self) -> int: ...
    @property
    def first(self) -> tuple[Message, ...]: ...
    @property
    def last(self) -> Message: ...


class _Single:
    """One message, as a source."""

    count = 1

    def __init__(self, message: Message) -> None:
        self.first = (message,)
        self.last = message


class ProgressCoalescer:
    """The progress messages of one session, for one ctx.

    The caller must make the returned calls at once and in order. While `due` is not `None`, the caller must call
    `flush` at that time, or earlier if the log ends.

    Args:
        every: pass on every message at once, at any rate.
    """

    def __init__(self, *, every: bool = False) -> None:
        self._every = every
        # Times within the window: of the latest messages, and of the calls.
        self._seen: deque[float] = deque(maxlen=QUIET_LIMIT + 1)
        self._made: deque[float] = deque()
        # The source of the last message while that is held; how many dropped ones no call has reported yet.
        self._held: _Source | None = None
        self._uncounted = 0
        # The earliest end of the burst that is held back.
        self._held_until = -math.inf
        self._flushed_at = -math.inf
        self.dropped = 0
        """Total number of messages that were not passed on."""

    def add(self, run: LineRun, now: float) -> list[Call]:
        """Add a run of lines; return the calls to make at once."""
        if self._every:
            return [_call(message) for message in run.first]
        return self._take(run, now)

    def report(self, percent: int | None, text: str, now: float) -> list[Call]:
        """Add one message that is not a line of a run (`Deliverable: ...`), under the same rule and in order."""
        message = percent, text
        if self._every:
            return [_call(message)]
        self._expire(now)
        if self._held is None and len(self._seen) < QUIET_LIMIT and len(self._made) < QUIET_LIMIT:
            self._seen.append(now)  # the usual case of an agent that writes now and then
            return self._make((message,), now)
        return self._take(_Single(message), now)

    def flush(self, now: float) -> list[Call]:
        """Release what is held: it is due, the log has ended, or the next event must not overtake it."""
        if self._held is None:
            return []
        self._expire(now)
        messages = [self._held.last]
        if self._uncounted:
            messages.insert(0, (None, f"({self._uncounted} messages dropped)"))
        self._held = None
        self._held_until = -math.inf
        self._uncounted = 0
        self._flushed_at = now
        return self._make(messages, now)

    @property
    def due(self) -> float | None:
        """When the held messages may be released so that optio-core keeps all of them; `None` if there are none.

        Never more than once in `WINDOW` seconds.
        """
        if self._held is None:
            return None
        room = _BURST_LIMIT - _SUMMARY if self._uncounted else QUIET_LIMIT - 1
        excess = len(self._made) - room
        free = self._made[excess - 1] + WINDOW + _MARGIN if excess > 0 else -math.inf
        return max(free, self._flushed_at + WINDOW)

    def _take(self, source: _Source, now: float) -> list[Call]:
        """Pass on, hold or drop new messages. Only those that are needed are decoded."""
        count = source.count
        seen = self._seen
        if now < self._held_until and len(seen) > QUIET_LIMIT and now - seen[0] <= WINDOW:
            # The usual case in a flood: the new messages replace the held one.
            seen.extend([now] * min(count, QUIET_LIMIT + 1))
            self._drop(count)
            self._held = source
            return []
        self._expire(now)
        fresh = QUIET_LIMIT - len(seen)  # optio-core would write this many at once
        seen.extend([now] * min(count, QUIET_LIMIT + 1))
        calls: list[Call] = []
        if fresh > 0 and len(self._made) + _SUMMARY <= QUIET_LIMIT:
            calls = self.flush(now)  # the burst is over: its rest goes first
        room = min(fresh, QUIET_LIMIT - len(self._made))
        if self._held is None and count <= room:
            return calls + self._make(source.first, now)
        shown = 0
        if self._held is not None:
            self._drop(1)
        elif count - 1 <= room:
            shown = count - 1  # the last one is held briefly, and none is dropped
        else:
            shown = max(0, min(fresh, _BURST_LIMIT - _SUMMARY - len(self._made), count - 1))
        if shown:
            calls += self._make(source.first[:shown], now)
        self._drop(count - shown - 1)
        self._held = source
        due = self.due
        assert due is not None
        if due <= now:
            return calls + self.flush(now)
        if self._uncounted:
            self._held_until = due
        return calls

    def _expire(self, now: float) -> None:
        for times in (self._seen, self._made):
            while times and now - times[0] > WINDOW:
                times.popleft()

    def _make(self, messages: Sequence[Message], now: float) -> list[Call]:
        self._made.extend([now] * len(messages))
        return [_call(message) for message in messages]

    def _drop(self, count: int) -> None:
        self._uncounted += count
        self.dropped += count


def _call(message: Message) -> Call:
    percent, text = message
    return percent, display_text(text)
