"""The boundary when the user's world is Trio, too: user code runs as tasks for which no nursery must wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Generic, ParamSpec, TypeVar

import trio
from outcome import Error, Outcome, Value

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


class TrioBoundary(CallsInTurn):
    """`Boundary` for Trio callers.

    User code runs in a separate system task, because a nursery cannot abandon a task. Abandoned code is cancelled
    again when the run's main task ends. Trio then waits for it without a deadline: code that shields itself from
    cancellation forever prevents `trio.run` from returning.
    """

    cancellation = trio.Cancelled

    def __init__(self) -> None:
        self.on_abandoned: Callable[[Abandoned], object] = warn_abandoned
        self.on_late_failure: Callable[[str, BaseException], object] = warn_late_failure

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, label: str, grace: float = DEFAULT_GRACE
    ) -> T:
        """See `Boundary.call`."""
        return await _TrioCall(self, label, lambda _: function(*args)).cross(grace)

    async def _cross(
        self, start: Callable[[_TrioCall[None]], Awaitable[None]], label: str, grace: float
    ) -> None:
        await _TrioCall(self, label, start).cross(grace)

    async def _refuse(self, index: int) -> None:
        await trio.lowlevel.checkpoint()

    def _was_asked_for(self, call: _TrioCall[None]) -> bool:
        return call.scope.cancel_called or _is_cancelled()

    def _enter(self) -> None:
        """Nothing to do: both sides are the same event loop."""

    def plain(self, function: Callable[P, T]) -> Callable[P, T]:
        """See `Boundary.plain`: both sides are the same event loop."""
        return function

    async def wait_flag(self, flag: Any) -> None:
        """See `Boundary.wait_flag`."""
        await flag.wait()


class _TrioCall(Generic[T]):
    """One call into user code: its task, its cancel scope, its outcome."""

    def __init__(
        self, boundary: TrioBoundary, label: str, start: Callable[[_TrioCall[T]], Awaitable[T]]
    ) -> None:
        self.scope = trio.CancelScope()
        self._boundary = boundary
        self._label = label
        # Takes the call as an argument instead of closing over it: a closure would create a reference cycle that keeps
        # the batch alive until the next collection.
        self._start = start
        self._ended = trio.Event()
        self._outcome: Outcome[T] | None = None
        self.is_cancelled = False
        self.is_left_behind = False

    async def cross(self, grace: float) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        task = trio.lowlevel.spawn_system_task(self._run, name=self._label, context=copy_context())
        try:
            await self._ended.wait()
        except trio.Cancelled:
            self.is_cancelled = True
            self.scope.cancel(reason=f"the caller of {self._label} was cancelled")
            with trio.move_on_after(grace, shield=True):
                await self._ended.wait()
            if not self._ended.is_set():
                self.is_left_behind = True
                self._boundary.on_abandoned(Abandoned(self._label, place(task.coro)))
            if self._outcome is None:
                raise
        # The exception's traceback refers to this frame, so the frame must not keep a reference to the exception.
        outcome, self._outcome = self._outcome, None
        assert outcome is not None
        try:
            return outcome.unwrap()
        finally:
            del outcome

    async def _run(self) -> None:
        """Raises only the cancellation of the whole run: a system task must not raise anything else."""
        try:
            with self.scope:
                self._outcome = Value(await _unprotected(self._start, self))
        except trio.Cancelled as stray:
            self._outcome = Error(StrayCancellation(self._label, stray))
            if _is_cancelled():
                raise
        except BaseException as failure:  # noqa: BLE001 - handed to the caller, or reported
            if self.is_left_behind:
                self._boundary.on_late_failure(self._label, failure)
            else:
                self._outcome = Error(failure)
        finally:
            self._ended.set()


@trio.lowlevel.disable_ki_protection
async def _unprotected(start: Callable[[_TrioCall[T]], Awaitable[T]], call: _TrioCall[T]) -> T:
    """Let Ctrl-C reach user code at once; by default, system tasks are protected from it."""
    return await start(call)


def _is_cancelled() -> bool:
    """Whether the surrounding scopes are cancelled: then a `Cancelled` is expected."""
    return trio.current_effective_deadline() == -float("inf")
