"""The asyncio loop that the present Trio run is a guest of.

Whoever waits for a descriptor may have the loop watch it: a callback of the loop comes two turns earlier than a task of
the guest, because the loop sees the descriptor itself, where otherwise it sees Trio's.
"""

from __future__ import annotations

import asyncio

import trio

_loop: trio.lowlevel.RunVar[asyncio.AbstractEventLoop | None] = trio.lowlevel.RunVar("host loop", None)


def host_loop() -> asyncio.AbstractEventLoop | None:
    """The loop; `None` under plain Trio, and when the loop was closed (`Guest` then goes on without one)."""
    loop = _loop.get()
    return None if loop is None or loop.is_closed() else loop


def set_host_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Called by the guest, once."""
    _loop.set(loop)
