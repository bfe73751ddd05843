"""Trio as a guest of a running asyncio loop, shared by all sessions of that loop.

Trio allows one run per thread, so that sessions cannot each bring their own. The guest here begins with the
first session and ends with the last: every session is a task of its nursery, and every session has an
asyncio task that awaits it (`run_as_guest`) and that, if it is the last, awaits the end of the guest too.
asyncio itself waits for awaiting tasks, or cancels them when `asyncio.run` ends, and thereby nothing of
Trio outlives the loop:

    asyncio task ──joins──→ Guest ──spawns──→ session ──boundary.call──→ asyncio task of user code
        │  cancelled                             ▲
        └──────────── scope.cancel() ────────────┘   (and then waits for the session's end)

Three exits go another way:

* Ctrl-C while Trio's own SIGINT handler is installed (a loop run without `asyncio.run`) is delivered by
  Trio to the guest's main task, which hands it to the loop: it leaves `run_forever`, as it would have
  without us.
* A loop that is closed while sessions live would leave a Trio run that can never go on, and with it a
  thread in which no `trio.run` is possible. The driver notices; sessions are cancelled then and Trio is driven,
  without a loop, until it has ended.
* A Trio internal error ends all sessions with that error.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Generic, TypeVar

import trio
from outcome import Error, Outcome, Value

from optio_agents.bridge.asyncio_boundary import AsyncioBoundary, HostLoopClosed
from optio_agents.bridge.boundary import Boundary
from optio_agents.bridge.driver_choice import driver_class
from optio_agents.bridge.host_loop import set_host_loop

T = TypeVar("T")

FAREWELL = 10.0
"""Seconds that the sessions get to clean up after their loop was closed under them."""


class _OfThisThread(threading.local):
    guest: Guest | None = None


_this_thread = _OfThisThread()


class Guest:
    """The Trio run inside one loop. Use `run_as_guest`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_closing = False
        self._sessions: set[GuestTask[Any]] = set()
        self._unspawned: list[GuestTask[Any]] = []
        self._nursery: trio.Nursery | None = None
        self._last_session_ended: trio.Event | None = None
        self._over = loop.create_future()
        self._driver = driver_class()(loop, on_over=self._trio_is_over, on_loop_closed=self._loop_was_closed)

    @classmethod
    async def join(cls, loop: asyncio.AbstractEventLoop) -> Guest:
        """Return the guest that lives in `loop`; start one if there is none.

        Raises:
            RuntimeError: another loop of this thread, or somebody else, runs Trio in this thread.
        """
        while (guest := _this_thread.guest) is not None and guest.loop is loop and guest.is_closing:
            await guest.wait_over()
        if guest is None:
            if trio.lowlevel.in_trio_run():
                raise RuntimeError(
                    "Trio runs in this thread already, and not as the guest of this event loop"
                )
            guest = cls(loop)
            guest._driver.start(guest._main)
            _this_thread.guest = guest
        if guest.loop is not loop:
            raise RuntimeError("another event loop of this thread has sessions that are still running")
        return guest

    def spawn(self, session: GuestTask[Any]) -> None:
        """Start a session, in a copy of the context variables around the call."""
        self._sessions.add(session)
        if self._nursery is None:
            self._unspawned.append(session)
        else:
            self._spawn(session)

    def leave(self, session: GuestTask[Any]) -> None:
        """The session has ended (called by itself)."""
        self._sessions.discard(session)
        if not self._sessions:
            self.is_closing = True
            if self._last_session_ended is not None and not self.is_over:
                self._last_session_ended.set()

    async def wait_over(self) -> None:
        """Wait until Trio has ended and left no trace in this thread."""
        while not self.is_over:
            await asyncio.shield(self._over)

    @property
    def is_over(self) -> bool:
        """Whether Trio has ended."""
        return self._driver.is_over

    async def _main(self) -> None:
        set_host_loop(self.loop)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._last_session_ended = trio.Event()
            for session in self._unspawned:
                self._spawn(session)
            self._unspawned.clear()
            while not self.is_closing:
                try:
                    await self._last_session_ended.wait()
                except KeyboardInterrupt as interrupt:
                    self.loop.call_soon(_raise, interrupt)

    def _spawn(self, session: GuestTask[Any]) -> None:
        assert self._nursery is not None
        session.context.run(self._nursery.start_soon, session.run)

    def _trio_is_over(self, outcome: Outcome[Any]) -> None:
        self.is_closing = True
        _this_thread.guest = None
        failure = _failure_of(outcome)
        is_exit_request = isinstance(failure, (KeyboardInterrupt, SystemExit))
        if is_exit_request and not self.loop.is_closed():
            # Before any session's task is woken: it leaves the loop once.
            self.loop.call_soon(_raise, failure)
        for session in tuple(self._sessions):
            if is_exit_request:
                session.boundary.note_raised_by_loop(failure)
            session.finish(Error(failure))
        if not self.loop.is_closed() and not self._over.done():
            self._over.set_result(None)

    def _loop_was_closed(self) -> None:
        """End without a loop."""
        for session in tuple(self._sessions):
            session.host_loop_closed()
        self._driver.finish_alone(FAREWELL)
        _this_thread.guest = None


class GuestTask(Generic[T]):
    """One `main` in the guest, and what the asyncio task that awaits it needs."""

    def __init__(self, guest: Guest, main: Callable[[Boundary], Awaitable[T]]) -> None:
        self.context = copy_context()
        self.boundary = AsyncioBoundary(guest.loop)
        self.outcome: Outcome[T] | None = None
        self._guest = guest
        self._main = main
        self._scope = trio.CancelScope()
        self._waiter: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """The session's task in the guest's nursery. Raises only the cancellation of the whole guest."""
        outcome: Outcome[T]
        try:
            with self._scope:
                outcome = Value(await self._main(self.boundary))
            if self._scope.cancelled_caught:
                outcome = Error(asyncio.CancelledError())
        except trio.Cancelled:
            raise  # Trio itself has failed; `Guest._trio_is_over` says how.
        except BaseException as failure:  # noqa: BLE001 - raised by whoever awaits this session
            outcome = Error(failure)
        self.finish(outcome)

    def finish(self, outcome: Outcome[T]) -> None:
        """Set the outcome, wake the awaiting task."""
        self.outcome = outcome
        self._guest.leave(self)
        if isinstance(outcome, Error) and self.boundary.was_raised_by_loop(outcome.error):
            # Whoever runs the loop again, to end what is left, goes first: else the awaiting task would raise Ctrl-C
            # once more out of it.
            if not self._guest.loop.is_closed():
                self._guest.loop.call_soon(self._wake)
        else:
            self._wake()

    def cancel(self) -> None:
        """Cancel what runs in the guest."""
        self._scope.cancel(reason="the asyncio task that awaits the session was cancelled")

    def host_loop_closed(self) -> None:
        """End without a loop: nothing of the user's asyncio code will run any more."""
        self._scope.cancel(reason=str(HostLoopClosed()))
        self.boundary.give_up()

    async def wait(self) -> T:
        """Return or raise what `main` does, once all of it has ended.

        A cancellation of this wait cancels the session, and is raised when it has ended; a second one changes
        nothing about that. A failure of the session's own cleanup takes precedence over the cancellation.
        """
        cancelled: asyncio.CancelledError | None = None
        while not self._is_settled():
            try:
                await self._next_change()
            except asyncio.CancelledError as cancellation:
                cancelled = cancelled or cancellation
                self.cancel()
        assert self.outcome is not None
        if isinstance(self.outcome, Error):
            failure = self.outcome.error
            if cancelled is None or not self._was_seen(failure):
                raise failure
        if cancelled is not None:
            raise cancelled
        return self.outcome.unwrap()

    def _is_settled(self) -> bool:
        return self.outcome is not None and (not self._guest.is_closing or self._guest.is_over)

    async def _next_change(self) -> None:
        if self.outcome is not None:
            await self._guest.wait_over()
            return
        self._waiter = self._guest.loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done() and not self._guest.loop.is_closed():
            self._waiter.set_result(None)

    def _was_seen(self, failure: BaseException) -> bool:
        return isinstance(failure, asyncio.CancelledError) or self.boundary.was_raised_by_loop(failure)


async def run_as_guest(main: Callable[[Boundary], Awaitable[T]]) -> T:
    """Run `main` under Trio inside the running asyncio loop (see `run_in_trio`)."""
    guest = await Guest.join(asyncio.get_running_loop())
    session = GuestTask(guest, main)
    guest.spawn(session)
    return await session.wait()


def _failure_of(trio_run: Outcome[Any]) -> BaseException:
    """What sessions that live longer than Trio itself have to hear."""
    if not isinstance(trio_run, Error):
        return trio.TrioInternalError("Trio ended before the session did")
    cause = trio_run.error.__cause__
    if isinstance(trio_run.error, trio.TrioInternalError) and isinstance(
        cause, KeyboardInterrupt | SystemExit
    ):
        return cause  # a signal handler raised it in the middle of Trio's own code
    return trio_run.error


def _raise(failure: BaseException) -> None:
    raise failure
