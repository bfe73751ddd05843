"""Blocking work in threads, and asynchronous work whose end a cancellation waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")

_logger = logging.getLogger(__name__)

COMMAND_GRACE = 5.0
"""Seconds that a command on the host gets to end once its caller was cancelled."""


class Stopped(Exception):  # noqa: N818
    """Raised in the work when its caller was cancelled."""


class StopFlag:
    """Tells work in a thread that its caller was cancelled. The work calls `check` between blocks."""

    def __init__(self) -> None:
        self._stop = Event()

    def set(self) -> None:
        """Note that the caller was cancelled."""
        self._stop.set()

    def check(self) -> None:
        """Raise `Stopped` if the caller was cancelled."""
        if self._stop.is_set():
            raise Stopped


async def in_thread(work: Callable[[StopFlag], T]) -> T:
    """Run `work(flag)` in a thread. Cancelling this waits for the thread, which ends at its next `flag.check()`.

    Files that the work uses may therefore be closed as soon as this has returned or raised.
    """
    flag = StopFlag()
    running = asyncio.ensure_future(asyncio.to_thread(work, flag))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        flag.set()
        await _ended(running)
        if not running.cancelled() and (failure := running.exception()) is not None:
            _logger.debug("work in a thread ended after its caller was cancelled: %r", failure)
        raise


async def to_its_end(awaitable: Awaitable[T], *, grace: float) -> T:
    """Await something that must not be abandoned half-way.

    Cancelling this waits up to `grace` seconds for the end, then cancels what was awaited and waits for that.
    """
    running = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        timer = asyncio.get_running_loop().call_later(grace, running.cancel)
        try:
            await _ended(running)
        finally:
            timer.cancel()
        if not running.cancelled() and (failure := running.exception()) is not None:
            _logger.warning("failed after its caller was cancelled: %r", failure)
        raise


async def _ended(running: asyncio.Future[T]) -> None:
    """Wait for the end of `running`, also if cancelled again meanwhile: that takes a limited, short time."""
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            continue
