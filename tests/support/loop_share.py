"""How long one step of an event loop takes: CPU time of the loop's thread, so that a busy machine does not count.

A step is what runs between two turns of the scheduler: one step of a Trio task, or one callback of asyncio. The limit
is for a machine that counts to a million in `UNIT` seconds; on a slower one it is longer in proportion.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio

STEP = 0.02
"""Seconds that one step may take."""

UNIT = 0.008


def slowness() -> float:
    """How much slower than usual this machine is, at least 1."""
    begin = time.thread_time()
    for _ in range(1_000_000):
        pass
    return max(1.0, (time.thread_time() - begin) / UNIT)


@contextmanager
def own_garbage() -> Iterator[None]:
    """Keep what was made before out of the collections within the block, which a step may have to pay for."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class StepWatchdog(trio.abc.Instrument):
    """Notes the longest step of any task: its seconds, and the task's name."""

    def __init__(self) -> None:
        self.longest = (0.0, "")
        self._began = float("inf")

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.longest = max(self.longest, (time.thread_time() - self._began, task.name))


class CallbackWatchdog:
    """Notes the longest callback of asyncio's loops: its seconds, and its handle. A context manager."""

    def __init__(self) -> None:
        self.longest = (0.0, "")

    def __enter__(self) -> CallbackWatchdog:
        self._run = run = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            seconds = time.thread_time() - began
            if seconds > self.longest[0]:
                self.longest = (seconds, repr(handle))

        asyncio.Handle._run = measured  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.Handle._run = self._run  # type: ignore[method-assign]
