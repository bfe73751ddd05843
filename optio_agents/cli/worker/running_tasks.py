"""The tasks that a worker runs: how many at once, in the order of their launches, and when all have ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from typing import Any

Execute = Callable[..., Awaitable[Any]]


class RunningTasks:
    """Counts the tasks of a worker, and has those beyond a limit wait for a place.

    A task's children run in their parent's place: to wait for one of their own would be a deadlock.

    Args:
        limit: how many run at once; None: any number.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._launched = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_closed = False

    @property
    def limit(self) -> int | None:
        """How many run at once."""
        return self._limit

    @property
    def running(self) -> int:
        """How many have a place."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return self._launched - self._running

    async def until_idle(self) -> None:
        """Wait until none runs and none waits."""
        await self._idle.wait()

    def close(self) -> None:
        """Begin no more tasks: those that wait go on waiting until they are cancelled.

        For a shutdown, which cancels the tasks one by one: the places of the first would begin others.
        """
        self._is_closed = True

    def counted(self, definition: Any) -> Any:
        """The same definition, whose runs are counted here.

        Args:
            definition: a `TaskInstance`, or a `TaskFactory`, whose launches are then counted.
        """
        if definition.execute is not None:
            return replace(definition, execute=self._counted(definition.execute))
        make = definition.task_for

        def task_for(values: dict[str, Any], process_id: str) -> Any:
            return self.counted(make(values, process_id))

        return replace(definition, task_for=task_for)

    def _counted(self, execute: Execute) -> Execute:
        @wraps(execute)
        async def in_its_place(ctx: Any) -> Any:
            self._launched += 1
            self._idle.clear()
            try:
                if not await self._take_place(ctx):
                    return None  # optio records it as cancelled, because its flag is set
                try:
                    return await execute(ctx)
                finally:
                    self._leave_place()
            finally:
                self._launched -= 1
                if not self._launched:
                    self._idle.set()

        return in_its_place

    async def _take_place(self, ctx: Any) -> bool:
        """Wait for a place; False: the task was cancelled before it had one."""
        if not self._is_closed and (self._limit is None or self._running < self._limit):
            self._running += 1
            return True
        ctx.report_progress(None, f"waiting for a place: {self._running} tasks run")
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        cancelling = asyncio.create_task(ctx.cancellation_flag.wait(), name="cancel while waiting")
        has_place = False
        try:
            await asyncio.wait((place, cancelling), return_when=asyncio.FIRST_COMPLETED)
            has_place = not cancelling.done()
        finally:
            cancelling.cancel()
            if not has_place and not place.cancel():
                self._leave_place()  # it came together with the cancel
        return has_place

    def _leave_place(self) -> None:
        """Hand the place to the task that has waited longest."""
        while self._waiting and not self._is_closed:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._running -= 1
