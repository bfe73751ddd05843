"""The threads of this process that do something."""

from __future__ import annotations

import threading

from trio._core import _thread_cache


def busy_threads() -> set[threading.Thread]:
    """All threads but the idle ones that Trio keeps for the next call, for ten seconds.

    Names cannot tell them apart: a worker of Trio's has the same name while it waits for the events of a guest run.
    Trio counts a worker as idle before it hands the result over, so that none is seen as busy for a moment.
    """
    idle = {worker._thread for worker in list(_thread_cache.THREAD_CACHE._idle_workers)}
    return {thread for thread in threading.enumerate() if thread not in idle}
