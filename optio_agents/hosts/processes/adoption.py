"""Orphans of the programs that this process started: adopted, so that they can be found, and reaped.

A process whose parent ends gets the nearest ancestor that is a subreaper as its parent, or process 1. With
`become_subreaper` that is this process, so that every descendant of a program stays a child of ours, even if it opened
a session of its own and emptied its environment. As the parent we must wait for it: without that it stays a zombie,
which also holds for process 1 of a container. Only the command line uses this; a library must not adopt processes.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from optio_agents.hosts.processes.snapshot import ProcessEntry, Snapshot, read_snapshot

_PR_SET_CHILD_SUBREAPER = 36

PAUSE = 0.25
"""Seconds between two looks for zombies: a build may end thousands of processes in a second."""

started: set[int] = set()
"""Processes that were started here and are waited for by their owner."""

_adopts = False
_starting = 0  # programs that are being started: their processes still look like adopted ones


@contextmanager
def starting() -> Iterator[None]:
    """While a program is being started here, up to its entry in `started`."""
    global _starting
    _starting += 1
    try:
        yield
    finally:
        _starting -= 1


def become_subreaper() -> bool:
    """Adopt all orphans from now on; returns whether the system allows it.

    SIGCHLD gets its default action. If our parent had set it to be ignored, the kernel would reap for us and keep no
    status to wait for.
    """
    global _adopts
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        _adopts = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    return _adopts


def adopted(snapshot: Snapshot) -> list[ProcessEntry]:
    """The children of this process that it did not start itself; none if it is no subreaper, or cannot tell now."""
    if not _adopts or _starting:
        return []
    me = os.getpid()
    return [entry for entry in snapshot.values() if entry.parent == me and entry.pid not in started]


async def reap_adopted() -> None:
    """Collect the status of adopted processes that have ended, until cancelled; nothing if none is adopted."""
    if not _adopts:
        return
    with trio.open_signal_receiver(signal.SIGCHLD) as signals:
        async for _ in signals:
            while _starting:  # noqa: ASYNC110 - a few milliseconds
                await trio.sleep(PAUSE)
            for entry in adopted(read_snapshot()):
                if entry.dead:
                    with suppress(ChildProcessError):
                        os.waitpid(entry.pid, os.WNOHANG)  # noqa: ASYNC222 - it has ended
            await trio.sleep(PAUSE)
