"""An inotify descriptor: its system calls, its reuse and its delayed end.

Removing a watch makes the kernel wake one of its worker threads, which takes the CPU from us: 0.1 to 0.5 ms on
average, for sessions that follow one another. The worker wakes only once if many watches are removed together, so they
are collected (`Descriptor.remove`). Closing a descriptor right after that takes 8 to 12 ms, because the kernel waits
until no CPU can still be reading a watch. A few milliseconds later that condition holds, and closing takes 12 µs.

An unused descriptor is therefore kept for `LINGER` seconds. The next reader of this thread may reuse it. If none does,
its watches are removed, and `LINGER` seconds later it is closed. Neither the session that ends nor the next one waits.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import functools
import os
import threading
import weakref
from contextlib import suppress
from contextvars import Context

import trio

LINGER = 0.1
"""Seconds for which an unused descriptor is kept before its watches are removed, and again before it is closed."""

UNWANTED_LIMIT = 32
"""Unused watches are removed once there are this many. Until then, each of them holds an inode."""


class Descriptor:
    """One inotify instance. Non-blocking, closed on exec.

    Raises:
        OSError: no inotify here, or too many instances.
    """

    def __init__(self) -> None:
        self._libc = _libc()
        self._process = os.getpid()
        self._unwanted: set[int] = set()
        self.turns = 0  # how often it was taken
        self.number = self._libc.init()

    def add(self, descriptor: int, mask: int) -> int:
        """Watch the inode behind an open descriptor; return the watch's number."""
        watch = self._libc.add(self.number, f"/proc/self/fd/{descriptor}", mask)
        self._unwanted.discard(watch)  # an inode that is still watched keeps its number
        return watch

    def remove(self, watch: int) -> None:
        """Mark a watch as unused: it is removed soon, and the caller must ignore its events until then."""
        self._unwanted.add(watch)
        if len(self._unwanted) >= UNWANTED_LIMIT:
            self.end_unwanted()

    def end_unwanted(self) -> None:
        """Remove the unused watches. One that has ended with its inode is no error."""
        for watch in self._unwanted if self.is_ours else ():
            with suppress(OSError):
                self._libc.remove(self.number, watch)
        self._unwanted.clear()

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
    """The descriptor put away in this thread. `keeper` holds it until it is closed; this only finds it."""

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
    """Keep an unused descriptor for a while, then close it. Run by a task that has nothing else to do."""
    if _spare.descriptor is not None and _spare.descriptor() is not None:
        descriptor.close()
        return
    with trio.CancelScope() as keeper:
        _spare.descriptor, _spare.keeper = weakref.ref(descriptor), keeper
        try:
            await trio.sleep(LINGER)
            descriptor.end_unwanted()
            await trio.sleep(LINGER)
        except trio.Cancelled:
            if not keeper.cancel_called:
                leave_to_loop(descriptor)
            raise
        _close(descriptor, descriptor.turns)


def leave_to_loop(descriptor: Descriptor) -> None:
    """At the end of Trio's run: keep the descriptor by a timer of the host loop, or close it now if there is none."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        _close(descriptor, descriptor.turns)
    else:
        loop.call_later(LINGER, _end_unwanted, loop, descriptor, descriptor.turns, context=Context())
        _spare.descriptor, _spare.keeper = weakref.ref(descriptor), None


def _end_unwanted(loop: asyncio.AbstractEventLoop, descriptor: Descriptor, turns: int) -> None:
    if descriptor.turns == turns:
        descriptor.end_unwanted()
        loop.call_later(LINGER, _close, descriptor, turns, context=Context())


def _close(descriptor: Descriptor, turns: int) -> None:
    if descriptor.turns == turns:  # it was not reused meanwhile
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


@functools.cache
def _libc() -> _Libc:
    """One for all: `CDLL` makes classes of its own, which only the garbage collector frees."""
    return _Libc()
