"""The asyncio loop that hosts the current Trio run.

Trio code that waits for a descriptor may let the loop watch it. A callback of the loop runs two turns earlier than a
task of the guest, because the loop watches the descriptor directly, not Trio's epoll descriptor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import trio

from optio_agents.bridge.loop_reader import LoopReader


@dataclass(frozen=True)
class _Host:
    loop: asyncio.AbstractEventLoop
    enter: Callable[[], None]


_host: trio.lowlevel.RunVar[_Host | None] = trio.lowlevel.RunVar("host loop", None)


def set_host_loop(loop: asyncio.AbstractEventLoop, enter: Callable[[], None]) -> None:
    """Called by the guest, once. `enter` is `Driver.enter`."""
    _host.set(_Host(loop, enter))


def forget_host_loop() -> None:
    """Called by the guest at its end, because what Trio keeps of a run is freed only by the garbage collector."""
    _host.set(None)


def read_by_host_loop(descriptor: int, on_readable: Callable[[], object]) -> LoopReader | None:
    """Have the loop call `on_readable`, which may use Trio, while `descriptor` is readable.

    Returns:
        `None` under plain Trio, if the loop was closed (`Guest` then continues without one), or if the loop refuses.
    """
    host = _host.get()
    if host is None or host.loop.is_closed():
        return None

    def enter_and_call() -> None:
        try:
            host.enter()
        except RuntimeError:
            reader.close()  # the guest has informed its sessions
        else:
            on_readable()

    try:
        reader = LoopReader(host.loop, descriptor, enter_and_call)
    except (OSError, RuntimeError):
        return None
    return reader
