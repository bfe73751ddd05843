"""Drives a Trio guest run only by Trio's public guest mode.

The alternative to `driver`, for a version of Trio whose private parts differ from what `driver` expects. While Trio has
nothing to run, a thread of Trio waits for I/O; the rest is the same. Two things are not possible, and raise an error: a
run cannot be moved to another thread, and a run that does not end in time stays in its thread.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from outcome import Error, Outcome

from optio_agents.bridge.loop_reader import LoopReader
from optio_agents.bridge.never_freed import never_free


class PublicDriver:
    """One guest run: a `Driver`. Trio hands over its steps as functions, one at a time.

    Each waits in a queue of ours, not in the loop, so that none is lost when the loop is closed. A thread wakes the
    loop by a descriptor of ours, because the loop's own pipe stops working when a forked process closes its copy of
    the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_over: Callable[[Outcome[Any]], None],
        on_loop_closed: Callable[[], None],
    ) -> None:
        """`on_loop_closed` is called if the loop is closed before Trio has ended: see `finish_alone`."""
        self.is_over = False
        self._loop = loop
        self._on_over = on_over
        self._on_loop_closed = on_loop_closed
        self._steps: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._root: trio.lowlevel.Task | None = None
        self._bell = -1
        self._thread = threading.get_ident()
        self._reader: LoopReader | None = None

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        """Begin a Trio run with `main` as its main task.

        Raises:
            OSError: the loop cannot watch a descriptor. No Trio run is left then.
        """
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._reader = LoopReader(self._loop, self._bell, self._bell_rang, self._loop_was_closed)
            trio.lowlevel.start_guest_run(
                main,
                run_sync_soon_threadsafe=self._soon_from_any_thread,
                run_sync_soon_not_threadsafe=self._soon,
                done_callback=self._end,
                host_uses_signal_set_wakeup_fd=True,
            )
            self._root = trio.lowlevel.current_root_task()
        except BaseException:
            if self._reader is not None:
                self._reader.close()
            os.close(self._bell)
            raise

    def enter(self) -> None:
        """See `Driver.enter`."""
        if not self.is_of_this_thread() and not self.is_over:
            refusal = RuntimeError(
                "this event loop was begun in another thread, and its sessions cannot continue in this one with this "
                "version of Trio: run the loop in one thread"
            )
            never_free((self._root, self._steps))
            self._stop(Error(refusal))
            raise refusal

    def is_of_this_thread(self) -> bool:
        """See `Driver.is_of_this_thread`."""
        return self._thread == threading.get_ident()

    def finish_alone(self, seconds: float) -> None:
        """Drive Trio to its end, blocking, without a loop; give it up if it takes longer than `seconds`."""
        deadline = time.monotonic() + seconds
        hooks = sys.get_asyncgen_hooks()  # Trio would put back those of the loop
        while not self.is_over:
            try:
                step = self._steps.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                never_free((self._root, self._steps))
                self.is_over = True
            else:
                step()
        sys.set_asyncgen_hooks(*hooks)

    def _soon(self, step: Callable[[], object]) -> None:
        self._steps.put(step)
        if not self._loop.is_closed():
            self._loop.call_soon(self._make_step)

    def _soon_from_any_thread(self, step: Callable[[], object]) -> None:
        self._steps.put(step)
        os.eventfd_write(self._bell, 1)

    def _bell_rang(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._make_step()

    def _make_step(self) -> None:
        if self.is_over or self._loop.is_closed():
            return
        self.enter()
        try:
            step = self._steps.get_nowait()
        except queue.Empty:
            return
        try:
            step()
        except BaseException:
            self._retry(step)
            raise

    def _retry(self, step: Callable[[], object]) -> None:
        """Repeat a step in which a signal handler of the program raised before Trio asked for the next one."""
        if not self.is_over and self._steps.empty():
            self._soon(step)

    def _loop_was_closed(self) -> None:
        if not self.is_over:
            self._on_loop_closed()

    def _end(self, result: Outcome[Any]) -> None:
        self._root = None
        if not self.is_over:
            self._stop(result)
            os.close(self._bell)

    def _stop(self, result: Outcome[Any]) -> None:
        """Make no more steps. If the run has not ended, Trio's thread may still wake the loop."""
        self.is_over = True
        if self._reader is not None:
            self._reader.close()
        self._on_over(result)
