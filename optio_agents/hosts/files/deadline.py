"""Calls into a file system that may not answer: each in a thread, with a deadline.

An agent may mount a file system of its own (FUSE) in its workdir, and a network mount may hang. A system call that
waits for one cannot be interrupted: its thread is abandoned, and what the call finally returns is released.
"""

from __future__ import annotations

import errno
import math
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Any, Generic, TypeVar

import trio

T = TypeVar("T")

ANSWER = 30.0
"""Seconds that a file system gets to answer one call."""

REMOVAL = 300.0
"""Seconds that making a workdir empty, or removing it, may take."""

THREADS = 4
"""Threads of one task that may wait at once. Trio's threads are for all tasks; one agent must not take them all."""


class DeadlineThreads:
    """Runs the calls of one task."""

    def __init__(self, seconds: float = ANSWER) -> None:
        self._seconds = seconds
        self._limiter: trio.CapacityLimiter | None = None

    async def run(
        self, function: Callable[..., T], *args: Any, discard: Callable[[T], object] | None = None
    ) -> T:
        """Return or raise what `function(*args)` does.

        Args:
            discard: releases, in its thread, what an abandoned call returns.

        Raises:
            OSError: `ETIMEDOUT`, the file system does not answer.
        """
        if self._limiter is None:
            self._limiter = trio.CapacityLimiter(THREADS)
        call = _Call(partial(function, *args), discard)
        # Measured by the real clock: a test's virtual clock may jump while a thread works.
        is_real = type(trio.lowlevel.current_clock()).__name__ == "SystemClock"
        with trio.move_on_after(self._seconds if is_real else math.inf):
            try:
                return await trio.to_thread.run_sync(call.run, abandon_on_cancel=True, limiter=self._limiter)
            except trio.Cancelled:
                call.leave()
                raise
        raise OSError(errno.ETIMEDOUT, f"the file system has not answered for {self._seconds:g} s")

    @asynccontextmanager
    async def entered(self, manager: AbstractContextManager[T]) -> AsyncIterator[T]:
        """`with manager`, entered and left in threads."""
        value = await self.run(manager.__enter__, discard=lambda _: manager.__exit__(None, None, None))
        try:
            yield value
        except BaseException as error:
            with trio.CancelScope(shield=True):
                handled = await self.run(manager.__exit__, type(error), error, error.__traceback__)
            if not handled:
                raise
        else:
            with trio.CancelScope(shield=True):
                await self.run(manager.__exit__, None, None, None)


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T], discard: Callable[[T], object] | None) -> None:
        self._function = function
        self._discard = discard
        self._lock = threading.Lock()
        self._is_left = False
        self._results: list[T] = []

    def run(self) -> T:
        result = self._function()
        with self._lock:
            if not self._is_left:
                self._results.append(result)
                return result
        if self._discard is not None:
            self._discard(result)
        return result

    def leave(self) -> None:
        """Note that the caller no longer waits."""
        with self._lock:
            self._is_left = True
            results = self._results
        if self._discard is not None:
            for each in results:
                self._discard(each)
