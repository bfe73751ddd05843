"""Trio as a guest of a running asyncio loop, shared by all sessions of that loop.

Trio allows one run per thread, so sessions cannot have a run each. The guest starts with the first session and
ends with the last. Every session is a task of its nursery, and every session has an asyncio task that awaits it
(`run_as_guest`). The asyncio task of the last session also awaits the end of the guest. asyncio waits for such
tasks, or cancels them when `asyncio.run` ends, so Trio's run never outlives the loop:

    asyncio task ──joins──→ Guest ──spawns──→ session ──boundary.call──→ asyncio task of user code
        │  cancelled                             ▲
        └──────────── scope.cancel() ────────────┘   (and then waits for the session's end)

There are three other exits:

* Ctrl-C while Trio's own SIGINT handler is installed (a loop run without `asyncio.run`): Trio delivers it to the
  guest's main task, which passes it to the loop. It leaves `run_forever`, as it would without us.
* A loop that is closed while sessions run: the Trio run could not continue, and no other `trio.run` would be possible
  in the thread. The driver notices that the loop was closed, cancels the sessions, and drives Trio without a loop
  until it has ended.
* A Trio internal error: all sessions end with that error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import trio
from outcome import Error, Outcome, Value

from optio_agents.bridge.asyncio_boundary import AsyncioBoundary, HostLoopClosed
from optio_agents.bridge.boundary import Boundary
from optio_agents.bridge.driver_choice import driver_class
from optio_agents.bridge.forked import inherits_trio, stays_with_parent
from optio_agents.bridge.host_loop import forget_host_loop, set_host_loop

_logger = logging.getLogger("optio_agents.bridge")

T = TypeVar("T")

FAREWELL = 10.0
"""Seconds that the sessions get to clean up after their loop was closed under them."""


_guests: WeakValueDictionary[int, Guest] = WeakValueDictionary()
"""The guests of this process that have not ended, by the ids of their loops. Each is held by its loop."""


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
        """Return the guest of `loop`; start one if there is none.

        Raises:
            RuntimeError: another loop of this thread, or other code, runs Trio in this thread.
        """
        while (guest := _guests.get(id(loop))) is not None and guest.is_closing:
            await guest.wait_over()
        if guest is None:
            if trio.lowlevel.in_trio_run():
                raise RuntimeError(_why_trio_runs_here())
            guest = cls(loop)
            # In a context of its own: later sessions must not see what the first session's caller has set.
            Context().run(guest._driver.start, guest._main)
            _guests[id(loop)] = guest
        else:
            guest.enter()
        return guest

    def enter(self) -> None:
        """Call this before Trio is used from the loop's side: another thread may run the loop by now.

        Raises:
            RuntimeError: Trio cannot continue in this thread.
        """
        self._driver.enter()

    def leave_to_parent(self) -> None:
        """In a forked child: never step this copy."""
        self._driver.is_over = self.is_closing = True
        _guests.pop(id(self.loop), None)
        for session in self._sessions:
            session.leave_to_parent()

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
        """Wait until Trio has ended and is detached from this thread."""
        while not self.is_over:
            await asyncio.shield(self._over)

    @property
    def is_over(self) -> bool:
        """Whether Trio has ended."""
        return self._driver.is_over

    async def _main(self) -> None:
        set_host_loop(self.loop, self.enter)
        try:
            async with trio.open_nursery() as self._nursery:
                self._last_session_ended = trio.Event()
                for session in self._unspawned:
                    self._spawn(session)
                self._unspawned.clear()
                while not self.is_closing:
                    try:
                        await self._last_session_ended.wait()
                    except KeyboardInterrupt as interrupt:
                        self.loop.call_soon(_raise, interrupt)
        finally:
            forget_host_loop()

    def _spawn(self, session: GuestTask[Any]) -> None:
        assert self._nursery is not None
        session.context.run(self._nursery.start_soon, session.run)

    def _trio_is_over(self, outcome: Outcome[Any]) -> None:
        self.is_closing = True
        _guests.pop(id(self.loop), None)
        failure = _failure_of(outcome)
        is_exit_request = isinstance(failure, (KeyboardInterrupt, SystemExit))
        if is_exit_request and not self.loop.is_closed():
            # Do this before any session's task is woken: it leaves the loop once.
            self.loop.call_soon(_raise, failure)
        for session in tuple(self._sessions):
            if is_exit_request:
                session.boundary.note_raised_by_loop(failure)
            session.finish(Error(failure))
        if not self.loop.is_closed() and not self._over.done():
            self._over.set_result(None)

    def _loop_was_closed(self) -> None:
        """End Trio without a loop, in the thread that has closed it."""
        _guests.pop(id(self.loop), None)
        try:
            self.enter()
        except RuntimeError as refusal:
            _logger.error("the sessions of a closed event loop are abandoned: %s", refusal)  # noqa: TRY400 - one line
            return
        for session in tuple(self._sessions):
            session.host_loop_closed()
        # Our loop may have been closed by a task of another loop: that task must not run as part of Trio's steps.
        around = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            self._driver.finish_alone(FAREWELL)
        finally:
            asyncio._set_running_loop(around)


stays_with_parent(lambda: list(_guests.values()))


class GuestTask(Generic[T]):
    """One `main` in the guest, and its connection to the asyncio task that awaits it."""

    def __init__(self, guest: Guest, main: Callable[[Boundary], Awaitable[T]]) -> None:
        self.context = copy_context()
        self.boundary = AsyncioBoundary(guest.loop, guest.enter)
        self.outcome: Outcome[T] | None = None
        self._guest = guest
        self._main = main
        self._scope = trio.CancelScope()
        self._waiter: asyncio.Future[None] | None = None
        self._is_inherited = False

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
        except BaseException as failure:  # noqa: BLE001 - raised where this session is awaited
            outcome = Error(failure)
        self.finish(outcome)
        del outcome  # the traceback of a failure refers to this frame

    def finish(self, outcome: Outcome[T]) -> None:
        """Set the outcome and wake the awaiting task."""
        self.outcome = outcome
        self._guest.leave(self)
        if isinstance(outcome, Error) and self.boundary.was_raised_by_loop(outcome.error):
            # Let code that runs the loop again, to end the remaining tasks, go first. Otherwise the awaiting task would
            # raise Ctrl-C out of the loop once more.
            if not self._guest.loop.is_closed():
                self._guest.loop.call_soon(self._wake)
        else:
            self._wake()

    def cancel(self) -> None:
        """Cancel the session."""
        self._guest.enter()
        self._scope.cancel(reason="the asyncio task that awaits the session was cancelled")

    def host_loop_closed(self) -> None:
        """End without a loop: the user's asyncio code will not run any more."""
        self._scope.cancel(reason=str(HostLoopClosed()))
        self.boundary.give_up()

    def leave_to_parent(self) -> None:
        """In a forked child: awaiting this copy, in a copy of the loop, raises `RuntimeError`."""
        self._is_inherited = True
        self.boundary.leave_to_parent()
        self.outcome = Error(
            RuntimeError(
                "this session is one of the process that this one was forked from, and cannot be awaited here"
            )
        )
        if self._guest._driver.is_of_this_thread():
            self._wake()  # the loop of another thread has no thread in this process

    async def wait(self) -> T:
        """Wait until all of `main` has ended; return or raise what it does.

        A cancellation of this wait cancels the session, and is raised when the session has ended. A second one has no
        effect. A failure of the session's own cleanup takes precedence over the cancellation.
        """
        cancelled: asyncio.CancelledError | None = None
        while not self._is_settled():
            try:
                await self._next_change()
            except asyncio.CancelledError as cancellation:
                cancelled = cancelled or cancellation
                if not self._is_inherited:
                    self.cancel()
        # What a traceback refers to must not refer to the exception, or only the garbage collector frees both.
        outcome, self.outcome = self.outcome, None
        assert outcome is not None
        try:
            if cancelled is not None and (not isinstance(outcome, Error) or self._was_seen(outcome.error)):
                raise cancelled
            return outcome.unwrap()
        finally:
            del outcome, cancelled

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
        if self._is_inherited or isinstance(failure, asyncio.CancelledError):
            return True
        return self.boundary.was_raised_by_loop(failure)


async def run_as_guest(main: Callable[[Boundary], Awaitable[T]]) -> T:
    """Run `main` under Trio inside the running asyncio loop (see `run_in_trio`)."""
    guest = await Guest.join(asyncio.get_running_loop())
    session = GuestTask(guest, main)
    guest.spawn(session)
    return await session.wait()


def _why_trio_runs_here() -> str:
    """Why a session cannot begin in this thread, which runs Trio."""
    if any(guest._driver.is_of_this_thread() for guest in list(_guests.values())):
        return "another event loop of this thread has sessions that are still running"
    if inherits_trio():
        return (
            "this process was forked from a thread that was running Trio, which it cannot leave: start it by "
            "multiprocessing's spawn or forkserver method, or use another thread"
        )
    return (
        "Trio runs in this thread already, and not as the guest of this event loop: await the session from the Trio "
        "task itself, or run asyncio in another thread (trio.to_thread.run_sync)"
    )


def _failure_of(trio_run: Outcome[Any]) -> BaseException:
    """The error for sessions that still run when Trio itself has ended."""
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
