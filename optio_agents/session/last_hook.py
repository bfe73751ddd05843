"""`after_execute`: shielded from every cancellation, and under a deadline that a cancellation shortens.

session ends ──> the hook runs ──(it returns or raises)──────────────> settled
                      ├──after_execute_timeout──> cut off ──> a failure
                      └──cancelled: cancel_grace, or what is left of optio's own──> cut off ──> a recorded problem
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import trio

from optio_agents.session.optio_context import grace_left, wait_cancelled
from optio_agents.session.outcome import Ending, SessionFailed
from optio_agents.session.plan import Plan

CUT_OFF_SECONDS = 1.0
"""How long a hook that was cut off may take to end before it is abandoned."""

RESERVE_SECONDS = 0.75
"""The part of optio's grace that is reserved for the host's cleanup and the record's final state."""

RESERVE_SHARE = 0.35
"""The largest share of a short grace that is reserved."""


class LastHook:
    """Runs `after_execute` of one session. Use once.

    Args:
        plan: what the session runs with.
        hook: the caller's function.
    """

    def __init__(self, plan: Plan, hook: Callable[..., Awaitable[Any]]) -> None:
        self._plan = plan
        self._hook = hook
        self._limit = trio.CancelScope(shield=True)
        self._hurried: float | None = None
        self._failure: BaseException | None = None

    async def run(self) -> BaseException | None:
        """Run it; return what it raised, or that it was cut off without a cancellation."""
        options = self._plan.options
        self._limit.deadline = trio.current_time() + options.after_execute_timeout
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hurry_when_cancelled)
                with self._limit:
                    await self._call()
                nursery.cancel_scope.cancel(reason="after_execute has ended")
        except* trio.Cancelled:
            pass  # The caller's: it has shortened the deadline, and the caller's next checkpoint raises it again.
        if not self._limit.cancelled_caught:
            return self._failure
        if self._hurried is not None:
            self._plan.recorder.note(
                f"after_execute was cut off: it gets {self._hurried:.1f} s in a cancelled session"
            )
            return None
        return SessionFailed(
            f"after_execute did not end within {options.after_execute_timeout:g} s",
            self._plan.recorder.outcome(Ending.FAILED, None),
        )

    async def _call(self) -> None:
        plan = self._plan
        grace = min(plan.options.cancel_grace, CUT_OFF_SECONDS)
        try:
            with _unwinding():
                await plan.boundary.call(self._hook, plan.hook_context, label="after_execute", grace=grace)
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - judged, and raised again, at the conclusion
            self._failure = error

    async def _hurry_when_cancelled(self) -> None:
        """Shorten the deadline when optio requests the end or the caller cancels, also if that happened before."""
        try:
            await wait_cancelled(self._plan.boundary, self._plan.ctx)
        except trio.Cancelled:
            self._hurry()
            raise
        self._hurry()
        await trio.sleep_forever()

    def _hurry(self) -> None:
        left = grace_left(self._plan.ctx)
        seconds = self._plan.options.cancel_grace
        if left is not None:
            reserve = min(CUT_OFF_SECONDS + RESERVE_SECONDS, RESERVE_SHARE * left)
            seconds = min(seconds, max(0.0, left - reserve))
        deadline = trio.current_time() + seconds
        if deadline < self._limit.deadline:
            self._limit.deadline = deadline
            self._hurried = seconds


def _unwinding() -> AbstractContextManager[Any]:
    """Mark the block for optio-host, which traces a remote host's commands during an unwind (OPTIO_CANCEL_TRACE)."""
    optio_host = sys.modules.get("optio_host.host")
    return nullcontext() if optio_host is None else optio_host.unwind_tracing()
