"""Orphans of the programs that this process started, where it owns them all: kept in sight, and reaped.

A process whose parent ends is given to the nearest ancestor that is a subreaper, or to process 1. With
`become_subreaper` that is this process, so that whatever a program started stays a child of ours, even if it opened a
session of its own and emptied its environment. As the parent we owe it a wait: without one it stays a zombie, which
also holds for process 1 of a container. Used by the command line; a library has no business to adopt.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from optio_agents.hosts.processes.process_tree import ProcessEntry, Snapshot, read_snapshot

_PR_SET_CHILD_SUBREAPER = 36

PAUSE = 0.25
"""Seconds between two looks for zombies: a build may end thousands of processes in a second."""

started: set[int] = set()
"""Processes that were started here and are waited for by their owner."""

_adopts = False
_starting = 0  # programs that are being started: their processes cannot be told from adopted ones yet


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

    SIGCHLD gets its default action: whoever started us may have ignored it, and then the kernel would reap for us, and
    keep nothing to wait for.
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
