"""One at a time, for code that is awaited under Trio or under asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import trio

_locks: WeakValueDictionary[tuple[int, Hashable], trio.Lock | asyncio.Lock] = WeakValueDictionary()
"""The locks that are in use: a task that waits for one or holds it keeps it alive."""


@asynccontextmanager
async def exclusive(key: Hashable) -> AsyncIterator[None]:
    """Run the block while no other block with an equal `key` runs in this loop. First come, first served."""
    lock: trio.Lock | asyncio.Lock
    if trio.lowlevel.in_trio_task():
        place = (id(trio.lowlevel.current_trio_token()), key)
        lock = _locks.get(place) or _locks.setdefault(place, trio.Lock())
    else:
        place = (id(asyncio.get_running_loop()), key)
        lock = _locks.get(place) or _locks.setdefault(place, asyncio.Lock())
    async with lock:
        yield
