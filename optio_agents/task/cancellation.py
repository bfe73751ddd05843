"""Waits of a run before its session begins: they end as soon as optio requests the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class CancelledWhileWaiting(Exception):  # noqa: N818 - named for what happened
    """optio requested the end of the run while it waited for something."""


async def unless_cancelled(ctx: Any, work: Coroutine[Any, Any, T], what: str) -> T:
    """Await `work`, and cancel it when optio requests the end of the run.

    Args:
        ctx: the process context.
        work: what to await.
        what: names it, as "the save".

    Raises:
        CancelledWhileWaiting: optio has requested the end.
    """
    flag = getattr(ctx, "cancellation_flag", None) or asyncio.Event()
    working, requested = asyncio.ensure_future(work), asyncio.ensure_future(flag.wait())
    try:
        await asyncio.wait({working, requested}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CancelledWhileWaiting(f"cancelled during {what}")
    finally:
        working.cancel()
        requested.cancel()
        await asyncio.wait({working, requested})
    return working.result()
