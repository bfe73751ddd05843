"""A process that was forked while sessions ran (multiprocessing, a pre-forking server, a callback that forks).

It has a copy of everything: of the event loop, of Trio's run, of the tasks that end an agent and remove its directory.
All of that belongs to the parent. The copies must neither run nor be cleaned up when the process ends; otherwise the
parent's agent would be killed and its files removed. So they stay unchanged until the process ends. The thread is
detached from the copied Trio run, so that the process can run sessions of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from sniffio import thread_local as sniffio_library

from optio_agents.bridge.driver_choice import forget_run_of_this_thread
from optio_agents.bridge.never_freed import never_free

_belongings: list[Callable[[], list[Any]]] = []
_held: list[Any] = []


class _OfThisThread(threading.local):
    sessions_of_trio = 0
    inherits_trio = False


_this_thread = _OfThisThread()


def stays_with_parent(belongings: Callable[[], list[Any]]) -> None:
    """Register objects that a forked child must not touch: before each fork, `belongings` lists them. Each has a method
    `leave_to_parent`.
    """
    _belongings.append(belongings)


def inherits_trio() -> bool:
    """Whether this thread still counts as running Trio, because it was forked from one that did."""
    return _this_thread.inherits_trio and trio.lowlevel.in_trio_run()


@contextmanager
def session_of_trio() -> Iterator[None]:
    """Note that a session runs under this thread's Trio while the block runs."""
    _this_thread.sessions_of_trio += 1
    try:
        yield
    finally:
        _this_thread.sessions_of_trio -= 1


def _before() -> None:
    # The child has no other threads, and must not clean up for those of its parent.
    _held[:] = [each for belongings in _belongings for each in belongings()]


def _in_child() -> None:
    inherited = list(_held)
    _held.clear()
    if not inherited and not _this_thread.sessions_of_trio:
        return
    for each in inherited:
        each.leave_to_parent()
    _this_thread.sessions_of_trio = 0
    if trio.lowlevel.in_trio_run():
        run = forget_run_of_this_thread()
        _this_thread.inherits_trio = run is None
        inherited.append(run)
    sniffio_library.name = None
    never_free(inherited)


os.register_at_fork(before=_before, after_in_parent=_held.clear, after_in_child=_in_child)
