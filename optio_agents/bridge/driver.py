"""Drives a Trio guest run from the callbacks of an asyncio loop, without a helper thread.

`trio.lowlevel.start_guest_run` works with any host loop: when Trio has nothing to run, it waits for I/O in
a worker thread, which then wakes the host. An asyncio loop on Linux needs no such thread, because Trio's
epoll descriptor is itself something that the loop can watch. Measured on two cores, a call into asyncio and
back takes 17 µs this way instead of 80. A process with many sessions has no such thread, which matters to
programs that fork.

The price is that this file itself steps the generator of Trio's guest mode. `GuestState`, its `unrolled_run_gen`, the
runner's `io_manager` with its `_force_wakeup`, and `guest_tick_scheduled` are private to Trio. So is the thread-local
`GLOBAL_RUN_CONTEXT`, by which a run is moved to the thread that runs the loop at present. No other module of the
package uses private parts of Trio. `probe` tries all of them in a small run. If that fails, `public_driver` is used
instead (see `driver_choice`). The rest is Trio's public guest mode. `Event.set`, `CancelScope.cancel` and changed
deadlines, which only the loop's own thread may use, wake us by a plain call (see `_WakeUp`).
`TrioToken.run_sync_soon` writes to a socket that Trio's epoll watches, and so wakes us from any thread.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

import trio
from outcome import Error, Outcome, Value, capture
from sniffio import thread_local as sniffio_library
from trio._core._run import GLOBAL_RUN_CONTEXT, GuestState

from optio_agents.bridge.loop_reader import LoopReader
from optio_agents.bridge.never_freed import never_free

BURST = 0.001
"""Seconds for which Trio runs on, as long as it has something to run, before the loop gets its turn.

A turn of the loop costs more than a step of Trio; one step for each turn would make Trio wait for nothing.
"""

NEVER = 24 * 60 * 60
"""Seconds that Trio gives as the time that it can wait when no deadline is set."""

PROBE_STEPS, PROBE_WAIT = 50, 0.1
"""After so many steps, each waiting at most so many seconds, a small Trio run has ended (six are needed)."""


class SteppingDriver:
    """One guest run: a `Driver`. Everything happens in the loop's thread.

    due ──(loop's next turn)──→ stepping ──→ due        Trio has more to run
                                    ├──────→ waiting    for Trio's epoll or its next deadline, then
                                    stepping └──────→ over
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
        self._state: GuestState | None = None
        self._thread = threading.get_ident()
        self._context: dict[str, Any] = {}
        self._reader: LoopReader | None = None
        self._refusal: BaseException | None = None
        self._events: Any = []
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        """Begin a Trio run with `main` as its main task.

        Raises:
            OSError: the loop cannot watch Trio's descriptor. No Trio run is left then.
        """

        async def unless_refused() -> None:
            if self._refusal is None:
                await main()

        trio.lowlevel.start_guest_run(
            unless_refused,
            run_sync_soon_threadsafe=self._adopt,
            run_sync_soon_not_threadsafe=self._adopt,
            done_callback=self._on_over,
            host_uses_signal_set_wakeup_fd=True,
        )
        if self._refusal is not None:
            self._drive_alone(float("inf"))
            raise self._refusal

    def _adopt(self, first_step: Any) -> None:
        """Take over from Trio's own driver before it makes the first step."""
        self._state = first_step.__self__
        assert isinstance(self._state, GuestState)
        self._context = GLOBAL_RUN_CONTEXT.__dict__
        io_manager: Any = self._state.runner.io_manager
        io_manager._force_wakeup = _WakeUp(self.trio_has_work, io_manager._force_wakeup)
        try:
            self._reader = LoopReader(
                self._loop, io_manager._epoll.fileno(), self.trio_has_events, self._loop_was_closed
            )
        except BaseException as refusal:  # noqa: BLE001 - raised by `start`
            self._refusal = refusal
        else:
            self._step_soon()

    def enter(self) -> None:
        """See `Driver.enter`."""
        if self._thread != threading.get_ident() and not self.is_over:
            self._move_here()

    def is_of_this_thread(self) -> bool:
        """See `Driver.is_of_this_thread`."""
        return self._thread == threading.get_ident()

    def _move_here(self) -> None:
        assert self._state is not None
        here = GLOBAL_RUN_CONTEXT.__dict__
        if here:
            refusal = RuntimeError(
                "this event loop was begun in another thread, and its sessions cannot continue in this one, where Trio "
                "runs already"
            )
            never_free(self._state)
            self._end(Error(refusal))
            raise refusal
        here.update(self._context)
        self._context.clear()
        self._context, self._thread = here, threading.get_ident()
        if threading.current_thread() is not threading.main_thread():
            # Only the main thread may restore signal handlers. Trio's handler for Ctrl-C stays installed.
            self._state.runner.ki_manager.handler = None

    def trio_has_events(self) -> None:
        """Trio's epoll descriptor is readable."""
        if not self._is_due and not self.is_over:
            self.enter()
            assert self._state is not None
            self._events = self._state.runner.io_manager.get_events(0)
            self._run_burst()

    def trio_has_work(self) -> None:
        """A task was made runnable from outside of Trio, in the loop's thread."""
        if not self._is_due and not self._loop.is_closed():
            self._step_soon()

    def finish_alone(self, seconds: float) -> None:
        """Drive Trio to its end, blocking, without a loop; give it up if it takes longer than `seconds`."""
        assert self._state is not None
        self.enter()
        hooks = sys.get_asyncgen_hooks()  # Trio would put back those of the loop
        if not self._drive_alone(seconds):
            self.is_over = True
            self._state.unrolled_run_gen.close()
        sys.set_asyncgen_hooks(*hooks)

    def _drive_alone(self, seconds: float) -> bool:
        """Whether Trio has ended within `seconds`."""
        assert self._state is not None
        deadline = time.monotonic() + seconds
        while (timeout := self._step()) is not None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            self._events = self._state.runner.io_manager.get_events(min(timeout, remaining))
        return True

    def _loop_was_closed(self) -> None:
        if not self.is_over:
            self._on_loop_closed()

    def _step_soon(self) -> None:
        assert self._state is not None
        self._is_due = True
        # For Trio: a step is scheduled, so no wake-up is needed.
        self._state.runner.guest_tick_scheduled = True
        self._loop.call_soon(self._run_burst)

    def _run_burst(self) -> None:
        if self.is_over or self._loop.is_closed():
            return
        self.enter()
        assert self._state is not None
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        runner = self._state.runner
        runner.guest_tick_scheduled = True
        until = time.monotonic() + BURST
        try:
            while True:
                timeout = self._step()
                if timeout is None or self.is_over:
                    return
                if timeout > 0:
                    self._events = runner.io_manager.get_events(0)
                    if not self._events:
                        break
                if time.monotonic() > until:
                    # While there is something to run, checking for events once in a burst is enough.
                    self._events = self._events or runner.io_manager.get_events(0)
                    self._step_soon()
                    return
        except BaseException:
            # A signal handler of the program has raised here. Trio's state is sound between two steps.
            if not self.is_over:
                self._step_soon()
            raise
        runner.guest_tick_scheduled = False
        if timeout < NEVER:
            # Without our context variables: the loop keeps a timer, even a cancelled one, until it is due.
            self._timer = self._loop.call_later(timeout, self._run_burst, context=Context())

    def _step(self) -> float | None:
        """Let Trio run what is runnable. Return the seconds that it can wait then; `None` when it has ended."""
        assert self._state is not None
        events, self._events = self._events, []
        outside, sniffio_library.name = sniffio_library.name, "trio"
        try:
            return self._state.unrolled_run_gen.send(events)
        except StopIteration:
            result = self._state.runner.main_task_outcome
            assert result is not None
        except trio.TrioInternalError as failure:
            result = Error(failure)
        finally:
            sniffio_library.name = outside
        self._end(result)
        return None

    def _end(self, result: Outcome[Any]) -> None:
        if self.is_over:
            return  # a forked child has made a step of its parent's run
        self.is_over = True
        self._state = None  # which refers to us
        if self._reader is not None:
            self._reader.close()
        if self._refusal is None:
            self._on_over(result)


class _WakeUp:
    """Replaces the pair of sockets by which Trio wakes itself up while it waits for events.

    With the sockets, a wake-up takes a write, a turn of the loop that finds Trio's epoll readable, a poll and two
    reads: a call into asyncio and back takes 32 µs. Here the loop itself waits and is called directly: 17 µs.
    """

    def __init__(self, has_work: Callable[[], None], sockets: Any) -> None:
        self._has_work = has_work
        self._sockets = sockets

    def wakeup_thread_and_signal_safe(self) -> None:
        """Called by Trio when a guest run gets something to do. Despite its name, always in the loop's thread."""
        self._has_work()

    def close(self) -> None:
        """Trio's run is over."""
        self._sockets.close()


def take_run_from_thread() -> object:
    """Detach Trio's run from this thread and return it. For a forked child, in which the run belongs to the parent."""
    context = GLOBAL_RUN_CONTEXT.__dict__
    taken = dict(context)
    context.clear()
    taken["runner"].ki_manager.close()
    return taken


def probe() -> None:
    """Raise an exception unless this version of Trio can be driven as this module does it.

    Tries that in a thread of its own, so that a failure leaves no half-finished Trio run in this one.
    """
    results: list[Outcome[None]] = []
    thread = threading.Thread(target=lambda: results.append(capture(_try_small_run)), name="probe of Trio")
    thread.start()
    thread.join()
    results[0].unwrap()


def _try_small_run() -> None:
    steps: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ends: list[Outcome[None]] = []
    event = trio.Event()
    trio.lowlevel.start_guest_run(
        event.wait,
        run_sync_soon_threadsafe=steps.put,
        done_callback=ends.append,
        host_uses_signal_set_wakeup_fd=True,
    )
    step = steps.get()
    try:
        _try_steps(step.__self__, event)
    finally:
        event.set()
        while trio.lowlevel.in_trio_run() and not ends:
            step()  # end it by the public way, because we cannot step it
            if not ends:
                step = steps.get(timeout=1)


def _try_steps(state: Any, event: trio.Event) -> None:
    wakeups: list[str] = []
    runner, io_manager = state.runner, state.runner.io_manager
    if not isinstance(state, GuestState) or io_manager._epoll.fileno() < 0:
        raise TypeError("Trio's guest state is another")
    io_manager._force_wakeup = _WakeUp(lambda: wakeups.append("wake-up"), io_manager._force_wakeup)
    is_over = False
    timeout = 0.0
    try:
        for _ in range(PROBE_STEPS):
            timeout = state.unrolled_run_gen.send(io_manager.get_events(min(timeout, PROBE_WAIT)))
            if timeout and not event.is_set():
                runner.guest_tick_scheduled = False
                event.set()
                timeout = 0.0
    except StopIteration:
        is_over = True
    if not is_over or wakeups != ["wake-up"] or runner.main_task_outcome != Value(None):
        raise RuntimeError("Trio's guest mode works in another way")
