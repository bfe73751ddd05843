"""The place at which a coroutine is suspended, in one line for humans."""

from __future__ import annotations

import asyncio
import os
from types import FrameType

import outcome
import trio

_PLUMBING = tuple(
    os.path.dirname(path) + os.sep for path in (asyncio.__file__, trio.__file__, outcome.__file__, __file__)
)
"""Packages whose frames say nothing to the author of the user's code."""


def place(awaitable: object) -> str:
    """Name the innermost frame of user code in a chain of awaits: `name (file.py:12)`.

    Follows coroutines, generators and async generators from the outermost to the innermost one that has a frame.
    Frames of the two event loops and of this package's boundary are skipped unless there are no others.
    """
    best = innermost = None
    while awaitable is not None:
        frame, awaitable = _step(awaitable)
        if frame is None:
            break
        innermost = frame
        if not _is_plumbing(frame):
            best = frame
    shown = best or innermost
    if shown is None:
        return "an unknown place"
    return f"{shown.f_code.co_qualname} ({os.path.basename(shown.f_code.co_filename)}:{shown.f_lineno})"


def _step(awaitable: object) -> tuple[FrameType | None, object]:
    for frame, inner in (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await")):
        if hasattr(awaitable, frame):
            return getattr(awaitable, frame), getattr(awaitable, inner)
    return None, None


def _is_plumbing(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_PLUMBING)
