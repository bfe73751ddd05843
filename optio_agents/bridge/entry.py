"""The entry into Trio, from Trio or from asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from sniffio import thread_local as sniffio_library

from optio_agents.bridge.boundary import Boundary
from optio_agents.bridge.forked import session_of_trio
from optio_agents.bridge.guest import run_as_guest
from optio_agents.bridge.trio_boundary import TrioBoundary

T = TypeVar("T")


def is_called_from_asyncio() -> bool:
    """Whether the present step of a coroutine is made by asyncio, possibly within a step of Trio.

    asyncio makes a step within a step of Trio in two cases: `asyncio.run` in a function that a Trio task has called,
    and a task that an asyncio caller's callback starts eagerly. sniffio knows the second case, see
    `AsyncioBoundary.plain`.
    """
    try:
        is_in_task = asyncio.current_task() is not None
    except RuntimeError:
        return False
    return is_in_task or sniffio_library.name != "trio"


async def run_in_trio(main: Callable[[Boundary], Awaitable[T]]) -> T:
    """Run `await main(boundary)` under Trio and return or raise what it does.

    Awaited under Trio it calls `main` directly. Awaited under asyncio, `main` runs as a session of its own
    in the Trio guest that all sessions of this loop share. Cancelling the awaiting asyncio task cancels
    `main` and waits for its end; then the cancellation is raised, unless `main` failed in another way
    meanwhile. `main` and the user code that it calls see the context variables of the caller.

    Raises:
        RuntimeError: under asyncio, when something else already runs Trio in this thread.
    """
    if not is_called_from_asyncio() and trio.lowlevel.in_trio_task():
        with session_of_trio():
            return await main(TrioBoundary())
    return await run_as_guest(main)
