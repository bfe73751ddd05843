"""Writes the newest state of something by a slow writer: one write at a time; states in between are skipped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

WRITE_SECONDS = 120.0
"""Seconds that one write may take."""

_logger = logging.getLogger(__name__)


class Publisher:
    """Calls `write()`, which writes the newest state, after each `changed()`. Calls during a write count once.

    Its task ends when there is nothing to write, so code that waits for all tasks of a loop is not delayed. Construct
    it anywhere; without a running loop `changed` does nothing.
    """

    def __init__(self, write: Callable[[], Awaitable[object]], what: str) -> None:
        self._write = write
        self._what = what
        self._is_due = False
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """There is a newer state."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._is_due = True
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run(), name=f"publish {self._what}")

    async def settle(self) -> None:
        """Wait until the newest state is written, or could not be. Cancelling this cancels the write, too."""
        while self._task is not None and not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError:
                self._task.cancel()
                await asyncio.wait([self._task])
                raise

    async def stop(self) -> None:
        """Write nothing more. A write that runs is cancelled."""
        self._is_due = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._is_due:
            self._is_due = False
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._write()
            except Exception:
                _logger.exception("the %s could not be published", self._what)
