"""File modes that count for root, too, so that tests of unreadable files need no other user."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from trio._core._thread_cache import THREAD_CACHE

from tests.support.servers import missing

_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_GET_SECUREBITS, _SET_SECUREBITS = 27, 28
_NOROOT, _NO_SETUID_FIXUP = 1, 4


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def file_modes_count() -> Iterator[None]:
    """Within the block, this thread and the programs that it starts may only do what file modes allow their user.

    Nothing changes for an ordinary user. Of root, the rights to pass modes by are put away and taken back. Trio's
    idle threads have them, so that new threads are started in the block, which inherit what this one has.
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    before = libc.prctl(_GET_SECUREBITS, 0, 0, 0, 0)
    # Otherwise access(2), and every program that is started, gets root's rights back.
    if libc.prctl(_SET_SECUREBITS, before | _NOROOT | _NO_SETUID_FIXUP, 0, 0, 0) != 0:
        missing("the right to put rights away (CAP_SETPCAP)")
    header, held = _Header(_VERSION, 0), (_Capabilities * 2)()
    try:
        assert libc.capget(ctypes.byref(header), held) == 0
        all_of_them = held[0].effective
        held[0].effective &= ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
        assert libc.capset(ctypes.byref(header), held) == 0
        idle, THREAD_CACHE._idle_workers = THREAD_CACHE._idle_workers, {}
        try:
            yield
        finally:
            THREAD_CACHE._idle_workers = idle
            held[0].effective = all_of_them
            assert libc.capset(ctypes.byref(header), held) == 0
    finally:
        assert libc.prctl(_SET_SECUREBITS, before, 0, 0, 0) == 0
