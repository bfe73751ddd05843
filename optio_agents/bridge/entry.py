"""The one entry: from whichever world awaits, into Trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.bridge.guest import run_as_guest
from optio_agents.bridge.trio_boundary import TrioBoundary

T = TypeVar("T")


async def run_in_trio(main: Callable[[Boundary], Awaitable[T]]) -> T:
    """Run `await main(boundary)` under Trio and return or raise what it does.

    Awaited under Trio it calls `main` directly. Awaited under asyncio, `main` runs as a session of its own
    in the Trio guest that all sessions of this loop share. Cancelling the awaiting asyncio task cancels
    `main` and waits for its end; then the cancellation is raised, unless `main` failed in another way
    meanwhile. The context variables of the caller are seen by `main` and by the user code that it calls.

    Raises:
        RuntimeError: under asyncio, when something else already runs Trio in this thread.
    """
    if trio.lowlevel.in_trio_task():
        return await main(TrioBoundary())
    return await run_as_guest(main)
