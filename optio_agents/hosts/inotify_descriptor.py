"""An inotify descriptor: its system calls, and how it is put away.

Closing one right after its last watch was removed takes 8 to 12 ms: the kernel waits until no CPU can still be looking
at the watch. A few milliseconds later that has happened by itself, and closing takes 12 µs. So a descriptor that is not
needed any more is kept for `LINGER` seconds, in which the next reader of this thread may take it, and is closed then.
A session that ends thereby does not wait, and neither does the next one that begins.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import threading
import weakref
from contextlib import suppress

import trio

LINGER = 0.1
"""Seconds for which a descriptor without watches is kept."""


class Descriptor:
    """One inotify instance. Non-blocking, closed on exec.

    Raises:
        OSError: no inotify here, or too many instances.
    """

    def __init__(self) -> None:
        self._libc = _Libc()
        self._process = os.getpid()
        self.turns = 0  # how often it was taken
        self.number = self._libc.init()

    def add(self, descriptor: int, mask: int) -> int:
        """Watch the inode behind an open descriptor; return the watch's number."""
        return self._libc.add(self.number, f"/proc/self/fd/{descriptor}", mask)

    def remove(self, watch: int) -> None:
        """End a watch. One that ended with its inode is no error."""
        with suppress(OSError):
            self._libc.remove(self.number, watch)

    def close(self) -> None:
        """Idempotent."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        # A loop that was closed before the timer came has dropped what the timer held.
        if hasattr(self, "number"):
            self.close()

    @property
    def is_ours(self) -> bool:
        """Whether it was opened by this process: not inherited by a fork."""
        return self._process == os.getpid()


class _Spare(threading.local):
    """The descriptor put away in this thread. Whoever will close it holds it; this is only how it is found."""

    descriptor: weakref.ref[Descriptor] | None = None
    keeper: trio.CancelScope | None = None


_spare = _Spare()


def take() -> Descriptor:
    """The descriptor that was put away last in this thread, or a new one.

    Events of its former watches may still come; the kernel does not give the number of a watch again.

    Raises:
        OSError: no inotify here, or too many instances.
    """
    descriptor = _spare.descriptor() if _spare.descriptor is not None else None
    if _spare.keeper is not None:
        _spare.keeper.cancel(reason="the descriptor is used again")
    _spare.descriptor = _spare.keeper = None
    if descriptor is None or not descriptor.is_ours:
        descriptor = Descriptor()
    descriptor.turns += 1
    return descriptor


async def put_away(descriptor: Descriptor) -> None:
    """Keep a descriptor without watches for a moment, then close it. For a task that has nothing else to do."""
    if _spare.descriptor is not None and _spare.descriptor() is not None:
        descriptor.close()
        return
    with trio.CancelScope() as keeper:
        _spare.descriptor, _spare.keeper = weakref.ref(descriptor), keeper
        try:
            await trio.sleep(LINGER)
        except trio.Cancelled:
            if not keeper.cancel_called:
                leave_to_loop(descriptor)
            raise
        _close(descriptor, descriptor.turns)


def leave_to_loop(descriptor: Descriptor) -> None:
    """Trio's run ends: keep the descriptor by a timer of the loop around it, or close it now if there is none."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        _close(descriptor, descriptor.turns)
    else:
        loop.call_later(LINGER, _close, descriptor, descriptor.turns)
        _spare.descriptor, _spare.keeper = weakref.ref(descriptor), None


def _close(descriptor: Descriptor, turns: int) -> None:
    if descriptor.turns == turns:  # nobody has taken it meanwhile
        _spare.descriptor = _spare.keeper = None
        descriptor.close()


class _Libc:
    """The three calls, with their errors raised as `OSError`.

    Why ctypes: three functions of libc are needed, the record format is fixed by `inotify(7)`, and the wrappers on the
    package index either start a thread or read in a blocking loop of their own.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "inotify_init1"):
            raise OSError(errno.ENOSYS, "no inotify in this libc")

    def init(self) -> int:
        return self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, descriptor: int, path: str, mask: int) -> int:
        return self._checked(
            self._libc.inotify_add_watch(descriptor, os.fsencode(path), ctypes.c_uint32(mask))
        )

    def remove(self, descriptor: int, number: int) -> None:
        self._checked(self._libc.inotify_rm_watch(descriptor, number))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result
