"""Keeps the order of the log across several queues: sans-IO, except for the wait.

ATTENTION, BROWSER and CLIENT_MESSAGE each have a queue and a worker, so that a hanging call delays only its own kind.
As long as no call hangs, the ctx is called in the order of the log: each worker waits for its turn.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import trio

PATIENCE = 0.2
"""Seconds that a call may take before the calls of other kinds go ahead of it."""

RUNS_LIMIT = 4096
"""The number of remembered runs of one kind. Items after them keep only the order of their own kind."""


class LogOrder:
    """Whose turn it is. `put`, `turn` and `settle` are called once for each item, in this order."""

    def __init__(self) -> None:
        self._runs: deque[_Run] = deque()
        self._counts: Counter[str] = Counter()
        self._stuck: set[str] = set()
        self._settled = trio.Event()

    def put(self, kind: str) -> None:
        """An item of `kind` is next in the log."""
        if self._runs and self._runs[-1].kind == kind:
            self._runs[-1].count += 1
        elif len(self._runs) < RUNS_LIMIT:
            self._runs.append(_Run(kind))
        else:
            return
        self._counts[kind] += 1

    async def turn(self, kind: str) -> None:
        """Wait until everything before the oldest item of `kind` is settled, or stuck."""
        while (ahead := self._ahead_of(kind)) is not None:
            settled = self._settled
            with trio.move_on_after(PATIENCE) as patience:
                await settled.wait()
            if patience.cancelled_caught and not settled.is_set():
                self._stuck.add(ahead)

    def settle(self, kind: str) -> None:
        """The oldest item of `kind` is settled."""
        for place, run in enumerate(self._runs):
            if run.kind == kind:
                self._counts[kind] -= 1
                run.count -= 1
                if not run.count:
                    del self._runs[place]
                break
        self._stuck.discard(kind)
        self._settled.set()
        self._settled = trio.Event()

    def _ahead_of(self, kind: str) -> str | None:
        """The kind whose turn it is; `None` if that is `kind`, or if `kind` has no remembered item."""
        if not self._counts[kind]:
            return None
        turn = next(run.kind for run in self._runs if run.kind == kind or run.kind not in self._stuck)
        return None if turn == kind else turn


@dataclass
class _Run:
    """Neighbouring items of one kind."""

    kind: str
    count: int = 1
