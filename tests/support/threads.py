"""The threads of this process that do something."""

from __future__ import annotations

import threading


def busy_threads() -> set[threading.Thread]:
    """All threads but the idle ones that Trio keeps for the next call, for ten seconds."""
    return set(threading.enumerate()) - _idle_workers_of_trio()


def _idle_workers_of_trio() -> set[threading.Thread]:
    # Names cannot tell: a worker that waits for the events of a guest run has the name of an idle one. Trio counts a
    # worker as idle before it hands the result over, so that no idle one is seen as busy for a moment.
    try:
        from trio._core._thread_cache import THREAD_CACHE
    except ImportError:  # with Trio's private parts hidden, see `public_trio`
        return {thread for thread in threading.enumerate() if thread.name.startswith("Trio thread")}
    return {worker._thread for worker in list(THREAD_CACHE._idle_workers)}
