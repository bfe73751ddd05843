"""A task beside a block of code, without exception groups around what the block raises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def running_in_background(function: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Run `function` while the block runs; cancel it at the block's end and wait for it.

    `function` must report its own failures and must not raise. What the block raises is raised unchanged.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(function)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery
            failure = error
        nursery.cancel_scope.cancel(reason="its block has ended")
    if failure is not None:
        raise failure
