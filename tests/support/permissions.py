"""File modes that count for root, too, so that tests of unreadable files need no other user."""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from outcome import Outcome

from tests.support.servers import missing

_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_MODES = 1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH
_GET_SECUREBITS, _SET_SECUREBITS = 27, 28
_NOROOT, _NO_SETUID_FIXUP = 1, 4

_LIBC = ctypes.CDLL(None, use_errno=True)


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

    Nothing changes for an ordinary user. Root puts its right to ignore modes away, and takes it back at the end. The
    kernel keeps these rights for each thread: those in which Trio runs blocking calls do the same.
    """
    if os.geteuid() != 0:
        yield
        return
    before = _secure_bits()
    # Without these bits, access(2) and every program that is started get root's rights back.
    _set_rights(before | _NOROOT | _NO_SETUID_FIXUP, modes_count=True)
    try:
        _in_idle_threads(lambda: _set_rights(before | _NOROOT | _NO_SETUID_FIXUP, modes_count=True))
        yield
    finally:
        _set_rights(before, modes_count=False)
        _in_idle_threads(lambda: _set_rights(before, modes_count=False))


def _secure_bits() -> int:
    bits: int = _LIBC.prctl(_GET_SECUREBITS, 0, 0, 0, 0)
    return bits


def _set_rights(secure_bits: int, *, modes_count: bool) -> None:
    """Change the rights of the calling thread."""
    if _LIBC.prctl(_SET_SECUREBITS, secure_bits, 0, 0, 0) != 0:
        missing("the right to put rights away (CAP_SETPCAP)")
    header, held = _Header(_VERSION, 0), (_Capabilities * 2)()
    assert _LIBC.capget(ctypes.byref(header), held) == 0
    if modes_count:
        held[0].effective &= ~_MODES
    else:
        held[0].effective |= held[0].permitted & _MODES
    assert _LIBC.capset(ctypes.byref(header), held) == 0


def _in_idle_threads(function: Callable[[], None]) -> None:
    """Call `function` once in each idle thread of Trio's cache.

    The cache starts a thread only when none is idle: each thread is held until a new one had to be started.
    """
    known = set(threading.enumerate())
    used: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome[None]] = queue.SimpleQueue()
    release = threading.Event()

    def hold() -> None:
        used.put(threading.current_thread())
        release.wait()
        function()

    count = 0
    while True:
        trio.lowlevel.start_thread_soon(hold, done.put)
        count += 1
        if used.get() not in known:
            break
    release.set()
    for _ in range(count):
        done.get().unwrap()
