"""The boundary when the user's world is asyncio: user code runs as asyncio tasks of the host loop.

Both worlds share one thread, so each side may wake the other with a plain call: Trio's `reschedule` and
`CancelScope.cancel` are legal on the host side of a guest run, and `loop.call_soon` is legal in Trio's tasks.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, ParamSpec, TypeVar

import trio
from outcome import Error, Outcome, Value
from sniffio import thread_local as sniffio_library

from optio_agents.bridge.boundary import (
    DEFAULT_GRACE,
    Abandoned,
    StrayCancellation,
    warn_abandoned,
    warn_late_failure,
)
from optio_agents.bridge.calls_in_turn import CallsInTurn
from optio_agents.bridge.suspended_at import place

P = ParamSpec("P")
T = TypeVar("T")

_left_behind: set[_AsyncioCall[Any]] = set()
"""Calls whose tasks ignored their cancellation: the loop holds tasks by weak references only."""


class HostLoopClosed(Exception):  # noqa: N818
    """The asyncio loop was closed while a session was running on it: the fault of the loop's owner."""

    def __init__(self) -> None:
        super().__init__("the asyncio event loop was closed while a session was running on it")


class AsyncioBoundary(CallsInTurn):
    """`Boundary` for asyncio callers; lives in a Trio guest of `loop`.

    Args:
        enter: called before Trio is used from the loop's side (see `Driver.enter`).
    """

    cancellation = asyncio.CancelledError

    def __init__(self, loop: asyncio.AbstractEventLoop, enter: Callable[[], None]) -> None:
        self.on_abandoned: Callable[[Abandoned], object] = warn_abandoned
        self.on_late_failure: Callable[[str, BaseException], object] = warn_late_failure
        self.enter = enter
        self._loop = loop
        self._calls: set[_AsyncioCall[Any]] = set()
        self._raised_by_loop: list[BaseException] = []

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, label: str, grace: float = DEFAULT_GRACE
    ) -> T:
        """See `Boundary.call`."""
        return await _AsyncioCall(self, label, lambda _: function(*args)).cross(grace)

    async def _cross(
        self, start: Callable[[_AsyncioCall[None]], Awaitable[None]], label: str, grace: float
    ) -> None:
        await _AsyncioCall(self, label, start).cross(grace)

    async def _refuse(self, index: int) -> None:
        if index:
            raise asyncio.CancelledError

    def _was_asked_for(self, call: _AsyncioCall[None]) -> bool:
        if call.is_cancelled or self._loop.is_closed():
            return True
        _forget_cancellation()
        return False

    def _enter(self) -> None:
        self.enter()

    def plain(self, function: Callable[P, T]) -> Callable[P, T]:
        """See `Boundary.plain`."""

        def within_asyncio(*args: P.args, **kwargs: P.kwargs) -> T:
            around, sniffio_library.name = sniffio_library.name, "asyncio"
            try:
                return function(*args, **kwargs)
            finally:
                sniffio_library.name = around

        return within_asyncio

    async def wait_flag(self, flag: Any) -> None:
        """See `Boundary.wait_flag`."""
        if isinstance(flag, trio.Event):
            await flag.wait()
        elif flag.is_set():
            await trio.lowlevel.checkpoint()
        else:
            # This is not user code and has nothing to clean up, so a cancelled wait need not wait for its end.
            await _AsyncioCall(self, "the wait for the cancellation flag", lambda _: flag.wait()).cross(
                grace=None
            )

    def was_raised_by_loop(self, failure: BaseException) -> bool:
        """Whether the loop has already raised everything in `failure` to its runner (Ctrl-C, `SystemExit`).

        asyncio does that with a `KeyboardInterrupt` or `SystemExit` of any task, at once.
        """
        if isinstance(failure, BaseExceptionGroup):
            return all(self.was_raised_by_loop(each) for each in failure.exceptions)
        return any(failure is raised for raised in self._raised_by_loop)

    def give_up(self) -> None:
        """The loop will not run again: end every call that is in progress."""
        for call in tuple(self._calls):
            call.give_up()

    def leave_to_parent(self) -> None:
        """In a forked child: do not await the results of these copied tasks."""
        self.on_late_failure = lambda label, failure: None
        for call in self._calls:
            call.leave_to_parent()

    def start(self, coroutine: Coroutine[Any, Any, None], label: str, call: _AsyncioCall[Any]) -> None:
        """Make the task of a call. It never takes its first step inside this call."""
        if self._loop.is_closed():
            coroutine.close()
            raise HostLoopClosed
        self._calls.add(call)
        if self._loop.get_task_factory() is None:
            call.has_task(self._loop.create_task(coroutine, name=label))
        else:
            # A factory may be eager: it would run user code inside Trio's own step.
            self._loop.call_soon(self._start_by_factory, coroutine, label, call)

    def _start_by_factory(
        self, coroutine: Coroutine[Any, Any, None], label: str, call: _AsyncioCall[Any]
    ) -> None:
        try:
            task = self._loop.create_task(coroutine, name=label)
        except BaseException as refusal:
            coroutine.close()
            call.settle(Error(refusal))
            if not isinstance(refusal, Exception):
                self.note_raised_by_loop(refusal)
                raise
        else:
            call.has_task(task)

    def ended(self, call: _AsyncioCall[Any]) -> None:
        """Forget about a call."""
        self._calls.discard(call)

    def note_raised_by_loop(self, failure: BaseException) -> None:
        """Remember that the loop raises `failure` to its runner (see `was_raised_by_loop`)."""
        self._raised_by_loop.append(failure)


class _AsyncioCall(Generic[T]):
    """One call into asyncio: a Trio task that waits, an asyncio task that runs.

    running ──the task ends──────────────────────────→ settled
       └─cancel─→ cancelling ──the task ends─────────→ settled
                      └──grace is over, loop closed──→ left behind ──the task ends──→ reported
    """

    def __init__(
        self, boundary: AsyncioBoundary, label: str, start: Callable[[_AsyncioCall[T]], Awaitable[T]]
    ) -> None:
        self._boundary = boundary
        self._label = label
        # Takes the call as an argument instead of closing over it: a closure would create a reference cycle that
        # keeps the batch alive until the next collection.
        self._start = start
        self._loop = boundary._loop
        self._task: asyncio.Task[None] | None = None
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._waiter: trio.lowlevel.Task | None = None
        self._outcome: Outcome[T] | None = None
        self._is_settled = False
        self._raise_cancel: Callable[[], Any] | None = None
        self._grace: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._abandoned_at: str | None = None
        # Both are read for every call of a batch. As properties they would take a tenth of its time.
        self.is_cancelled = False
        """Whether the Trio side has asked for cancellation."""
        self.is_left_behind = False
        """Whether the caller has stopped waiting for the task."""

    async def cross(self, grace: float | None) -> T:
        """Run to the end. `grace` in seconds; `None`: do not wait for a cancelled call."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._grace = grace
        self._coroutine = self._run()
        self._boundary.start(self._coroutine, self._label, self)
        self._waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        if self._timer is not None:
            self._timer.cancel()
        # This frame is in the exception's traceback, so it must not refer to the exception: see `_take_outcome`.
        raise_cancel, self._raise_cancel = self._raise_cancel, None
        if self._abandoned_at is not None:
            if self._grace is not None:
                self._boundary.on_abandoned(self._abandoned(self._abandoned_at))
            if raise_cancel is None:
                raise HostLoopClosed
            raise_cancel()
        outcome = self._take_outcome()
        try:
            if isinstance(outcome, Error) and isinstance(outcome.error, asyncio.CancelledError):
                if raise_cancel is not None:
                    raise_cancel()
                # When `asyncio.run` ends it cancels all tasks at once, in any order: the caller's scope may have
                # been cancelled just after user code was.
                await trio.lowlevel.checkpoint_if_cancelled()
                raise StrayCancellation(self._label, outcome.error)
            return outcome.unwrap()
        finally:
            del outcome, raise_cancel

    def _abandoned(self, where: str) -> Abandoned:
        if self._loop.is_closed():
            return Abandoned(self._label, where, "was in a loop that was closed")
        return Abandoned(self._label, where)

    def _take_outcome(self) -> Outcome[T]:
        """Hand over the outcome and keep no reference, so that a failure is freed without the garbage collector."""
        outcome, self._outcome = self._outcome, None
        assert outcome is not None
        return outcome

    def has_task(self, task: asyncio.Task[None]) -> None:
        if self._is_settled:
            return  # by a factory that made all steps at once
        self._task = task
        task.add_done_callback(self._task_ended)
        if self.is_cancelled:
            task.cancel()

    def give_up(self) -> None:
        """Abandon the task."""
        if self._waiter is not None and not self._is_settled:
            self.is_left_behind = True
            # Take it from the coroutine, not from the task: a task factory may return something without one.
            self._abandoned_at = "its start" if self._task is None else place(self._coroutine)
            if not self._loop.is_closed():
                _left_behind.add(self)
            else:
                # It is reported here; without this, it would be reported once more as destroyed or never awaited.
                if isinstance(self._task, asyncio.Task):
                    self._task._log_destroy_pending = False  # type: ignore[attr-defined]
                if (
                    self._coroutine is not None
                    and inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CREATED
                ):
                    self._coroutine.close()
            self._resume()

    def leave_to_parent(self) -> None:
        """See `AsyncioBoundary.leave_to_parent`."""
        self.is_left_behind = True
        self._waiter = None

    def _abort(self, raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        self._raise_cancel = raise_cancel
        self.is_cancelled = True
        if self._loop.is_closed():
            self._loop_is_gone()
            return trio.lowlevel.Abort.FAILED
        if self._task is not None:
            self._task.cancel()
        if self._grace is None:
            self._waiter = None
            self._boundary.ended(self)
            return trio.lowlevel.Abort.SUCCEEDED
        if self._grace != float("inf"):
            # Without our context variables: the loop keeps a timer, even a cancelled one, until it is due.
            self._timer = self._loop.call_later(self._grace, self.give_up, context=Context())
        return trio.lowlevel.Abort.FAILED

    def _loop_is_gone(self) -> None:
        self.give_up()

    @trio.lowlevel.disable_ki_protection
    async def _run(self) -> None:
        """Runs in the asyncio task. Ctrl-C may interrupt user code at once, with any signal handler.

        The outcome is passed on within the task's last step: a done callback would take one more turn of the loop.
        """
        try:
            outcome: Outcome[T] = Value(await self._start(self))
        except (KeyboardInterrupt, SystemExit) as exit_request:
            self._boundary.note_raised_by_loop(exit_request)
            self.settle(Error(exit_request))
            raise
        except asyncio.CancelledError as cancelled:
            self.settle(Error(cancelled))
            raise
        except GeneratorExit:
            self._is_settled = True  # the task was destroyed with its loop: there is no result
            raise
        except BaseException as failure:  # noqa: BLE001 - handed to the caller, or reported
            self.settle(Error(failure))
        else:
            self.settle(outcome)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Covers what `_run` cannot see: a task that was cancelled before its first step."""
        if task.cancelled():
            self.settle(Error(asyncio.CancelledError()))
        elif (failure := task.exception()) is not None:
            self.settle(Error(failure))

    def settle(self, outcome: Outcome[T]) -> None:
        """The user's code has ended."""
        if self._is_settled:
            return
        self._is_settled = True
        self._task = self._coroutine = None
        _left_behind.discard(self)
        if self._waiter is not None:
            self._outcome = outcome
            self._resume()
        elif isinstance(outcome, Error) and not isinstance(outcome.error, asyncio.CancelledError):
            self._boundary.on_late_failure(self._label, outcome.error)

    def _resume(self) -> None:
        waiter, self._waiter = self._waiter, None
        assert waiter is not None
        self._boundary.ended(self)
        self._boundary.enter()
        trio.lowlevel.reschedule(waiter)


def _forget_cancellation() -> None:
    """User code has cancelled the task in which it runs: the request must not cancel the next call."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
