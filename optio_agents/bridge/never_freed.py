"""Runs of Trio that can neither go on nor be cleaned up here."""

from __future__ import annotations

import ctypes


def never_free(thing: object) -> None:
    """Keep `thing`, and all that it refers to, until the process is gone.

    Freeing a suspended coroutine runs its `finally` blocks as far as they do not wait. For a run that belongs to
    another process or thread they would do harm, or fail one by one. So there is one reference more than any code
    gives back, the interpreter's end included.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
