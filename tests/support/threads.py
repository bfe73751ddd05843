"""The threads of this process that do something."""

from __future__ import annotations

import sys
import threading


def busy_threads() -> set[threading.Thread]:
    """All threads but the idle ones that Trio keeps for the next call, for ten seconds."""
    frames = sys._current_frames()
    return {
        thread for thread in threading.enumerate() if not _waits_for_a_call(frames.get(thread.ident or 0))
    }


def _waits_for_a_call(frame: object) -> bool:
    # Names cannot tell: a worker that waits for the events of a guest run has the name of an idle one. An idle one is
    # in the loop of Trio's thread cache itself, with no call above it.
    code = getattr(frame, "f_code", None)
    return code is not None and code.co_name == "_work" and code.co_filename.endswith("_thread_cache.py")
