"""Trio runs that can neither continue nor be cleaned up in this process or thread."""

from __future__ import annotations

import ctypes


def never_free(thing: object) -> None:
    """Keep `thing`, and everything that it refers to, until the process ends.

    Freeing a suspended coroutine runs its `finally` blocks up to their first wait. For a run that belongs to another
    process or thread, they would do harm or fail. The extra reference is never released, not even at the interpreter's
    exit.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
