"""A deadline for code that is awaited under Trio or under asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Cancel the block after `seconds`.

    Raises:
        TimeoutError: with the text `<what> within <seconds> s`. One that the block itself raises passes unchanged.
    """
    if trio.lowlevel.in_trio_task():
        with trio.move_on_after(seconds) as scope:
            yield
        expired = scope.cancelled_caught
    else:
        expired = False
        try:
            async with asyncio.timeout(seconds) as timeout:
                yield
        except TimeoutError:
            if not timeout.expired():
                raise
            expired = True
    if expired:
        raise TimeoutError(f"{what} within {seconds:g} s")
