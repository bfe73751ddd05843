"""An inotify descriptor: its system calls, and how it is put away.

Ending a watch makes the kernel wake a worker of its own, which takes the CPU from us: 0.1 to 0.5 ms on average, with
sessions that follow one another. It does so once if many end together, so they do (`Descriptor.remove`). Closing a
descriptor right after that takes 8 to 12 ms: the kernel waits until no CPU can still be looking at a watch. A few
milliseconds later that has happened by itself, and closing takes 12 µs. So a descriptor that is not needed any more is
kept for `LINGER` seconds, in which the next reader of this thread may take it; then its watches are ended, and `LINGER`
seconds later it is closed.
A session that ends thereby does not wait, and neither does the next one that begins.
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
"""Seconds for which a descriptor that nobody needs is kept, before its watches end and again before it is closed."""

UNWANTED_LIMIT = 32
"""Watches that nobody wants any more are ended once there are so many: until then each of them holds an inode."""


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
        """Nobody wants a watch any more: it ends soon, and its events until then are to be ignored."""
        self._unwanted.add(watch)
        if len(self._unwanted) >= UNWANTED_LIMIT:
            self.end_unwanted()

    def end_unwanted(self) -> None:
        """End the watches that nobody wants. Those that have ended with their inode are no error."""
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
    """Keep a descriptor that nobody needs for a moment, then close it. For a task that has nothing else to do."""
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
    """Trio's run ends: keep the descriptor by a timer of the loop around it, or close it now if there is none."""
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


@functools.cache
def _libc() -> _Libc:
    """One for all: `CDLL` makes classes of its own, which only the garbage collector frees."""
    return _Libc()
