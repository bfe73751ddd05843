"""Notice that a file changed: one inotify descriptor for all readers of a Trio run.

A `Watch` is one reader's interest in one file name in one directory. The first watch of a Trio run opens the
descriptor and starts the dispatcher, a system task, or a callback of the loop that Trio is a guest of; the last one
to be closed ends both. The dispatcher reads events and calls the readers or wakes them itself, so from a write to the
reader there is one wake-up of the process. Two things are watched for each reader: the directory, for another file
that takes the name, and the inode that it has open, for writes. Writes to other files of the directory wake no reader.

Where inotify is missing or its limits are reached (`max_user_instances`, `max_user_watches`), a watch polls
instead; its user sees no difference except the delay. If the kernel's queue overflows, events may be lost, and all
readers are woken.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from optio_agents.bridge.host_loop import read_by_host_loop
from optio_agents.bridge.loop_reader import LoopReader
from optio_agents.hosts.log.inotify_descriptor import Descriptor, leave_to_loop, put_away, take

POLL_INTERVAL = 0.25
"""Seconds between two looks at a file where inotify cannot be used."""

IN_MODIFY: Final = 0x0002
IN_MOVED_FROM: Final = 0x0040
IN_MOVED_TO: Final = 0x0080
IN_CREATE: Final = 0x0100
IN_DELETE: Final = 0x0200
IN_MOVE_SELF: Final = 0x0800
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x0100_0000

_NAME_LOST: Final = IN_MOVED_FROM | IN_DELETE
_DIRECTORY_MASK = IN_CREATE | IN_MOVED_TO | _NAME_LOST | IN_MOVE_SELF | IN_ONLYDIR
_RECORD = struct.Struct("iIII")  # struct inotify_event without its name: wd, mask, cookie, len
_BUFFER = 4096


class Watch:
    """One reader's interest in a file. Made by `open_watch`; used by one task, except for `wake`.

    Attributes:
        written: the followed inode was written to or truncated since the reader last set this to `False`.
        name_lost: the name was removed or moved away since then.
    """

    def __init__(self, hub: _Hub | None, name: str) -> None:
        self.written = False
        self.name_lost = False
        self._hub = hub
        self._name = os.fsencode(name)
        self._event = trio.Event()
        self._directory: int | None = None
        self._file: int | None = None
        self._look: Callable[[], bool] | None = None
        self._failure: BaseException | None = None

    @property
    def polling(self) -> bool:
        """Whether this watch polls, because inotify cannot be used."""
        return self._hub is None

    def follow(self, descriptor: int | None) -> None:
        """Watch the inode of an open `descriptor` for writes, instead of the one watched before."""
        if self._hub is None:
            return
        if self._file is not None:
            self._hub.remove(self._file, self)
            self._file = None
        if descriptor is not None:
            try:
                self._file = self._hub.add(descriptor, IN_MODIFY, self)
            except OSError:
                self._poll()

    def clear(self) -> None:
        """Forget what happened so far: call it before looking at the file, then `wait`."""
        if self._event.is_set():
            self._event = trio.Event()

    def catch_up(self) -> None:
        """Dispatch the events that the kernel has queued."""
        if self._hub is not None:
            self._hub.catch_up()

    def wake(self) -> None:
        """Make `wait` return, now or when it is called next."""
        self._event.set()

    async def wait(self, look: Callable[[], bool] | None = None) -> None:
        """Return once something may have happened to the file since the last `clear`, or soon after.

        Args:
            look: called by the dispatcher when the file is written to, in this task's context variables. While it
                returns `True` (it has handled the change), this continues to wait. That saves a turn of the loop
                between a write and its effect. What it raises is raised here.
        """
        if self._hub is not None:
            if look is not None:
                self._look = partial(trio.lowlevel.current_task().context.run, look)
            try:
                await self._event.wait()
            finally:
                self._look = None
                failure, self._failure = self._failure, None
                if failure is not None:  # even if the wait was cancelled in the same turn
                    raise failure
            return
        with trio.move_on_after(POLL_INTERVAL):
            await self._event.wait()

    def _start(self, directory: int) -> None:
        if self._hub is not None:
            try:
                self._directory = self._hub.add(directory, _DIRECTORY_MASK, self)
            except OSError:
                self._poll()

    def _poll(self) -> None:
        """Poll from now on: inotify is missing here, failed, or has reached a limit."""
        self._close()
        self._hub = None
        self.wake()

    def _close(self) -> None:
        if self._hub is not None:
            for number in (self._directory, self._file):
                if number is not None:
                    self._hub.remove(number, self)
        self._directory = self._file = None

    def _notice(self, number: int, mask: int, name: bytes) -> None:
        """Handle an event of the inode with watch `number`. Events of other names in the directory are ignored."""
        if mask & IN_IGNORED:
            if number == self._file:
                self._file = None
            if number == self._directory:
                self._directory = None
        if number == self._file:
            self.written = self.written or bool(mask & IN_MODIFY)
        if mask & _NAME_LOST and name == self._name:
            self.name_lost = True
        if number == self._file and self._look is not None and not self._event.is_set():
            try:
                if self._look():
                    return
            except BaseException as failure:  # noqa: BLE001 - raised in the waiting task
                self._failure = failure
        if not name or name == self._name:
            self.wake()


@contextmanager
def open_watch(directory: int, name: str) -> Iterator[Watch]:
    """Watch the file `name` in the directory that the descriptor `directory` has open.

    The descriptor is needed only until this returns. Without inotify, the watch polls.
    """
    hub = _join()
    watch = Watch(hub, name)
    watch._start(directory)
    try:
        yield watch
    finally:
        watch._close()
        if hub is not None:
            hub.leave()


@dataclass(frozen=True, slots=True)
class WatchStatistics:
    """What the dispatcher of this Trio run has done. A number that grows while nothing is written shows a fault."""

    watched: int  # inodes watched at present
    wakeups: int  # how often the dispatcher woke up
    events: int  # events read


def statistics() -> WatchStatistics | None:
    """The statistics of this Trio run's dispatcher; `None` if nothing is watched."""
    hub = _current.get(None)
    return None if hub is None else WatchStatistics(len(hub.watched), hub.wakeups, hub.events)


class _Hub:
    """The inotify descriptor of one Trio run, and the task that reads it."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.watched: dict[int, set[Watch]] = {}
        self.wakeups = 0
        self.events = 0
        self._users = 0
        self._descriptor = descriptor
        self._reader: LoopReader | None = None
        self._scope = trio.CancelScope()

    def join(self) -> None:
        self._users += 1

    def start(self) -> None:
        """Start to dispatch."""
        self._reader = read_by_host_loop(self._descriptor.number, self._dispatch_once)
        if self._reader is None:
            trio.lowlevel.spawn_system_task(self._dispatch, name="inotify dispatcher")

    def leave(self) -> None:
        """Remove one user. The last one ends the dispatcher, which then puts the descriptor away."""
        self._users -= 1
        if self._users or _current.get(None) is not self:
            return
        if self._reader is None:
            _current.set(None)
            self._scope.cancel(reason="the last watch was closed")
        else:
            self._resign()
            leave_to_loop(self._descriptor)

    def add(self, descriptor: int, mask: int, watch: Watch) -> int:
        number = self._descriptor.add(descriptor, mask)
        self.watched.setdefault(number, set()).add(watch)
        return number

    def remove(self, number: int, watch: Watch) -> None:
        watches = self.watched.get(number)
        if watches is None:
            return
        watches.discard(watch)
        if not watches:
            del self.watched[number]
            self._descriptor.remove(number)

    def catch_up(self) -> None:
        """Dispatch what waits in the descriptor now."""
        try:
            while _current.get(None) is self and self._read():
                pass
        except OSError:
            self._give_up()

    def _dispatch_once(self) -> None:
        """The loop's callback: see `_dispatch`."""
        if not trio.lowlevel.in_trio_run() or _current.get(None) is not self:
            # Trio has crashed without calling `leave`.
            assert self._reader is not None
            self._reader.close()
            self._descriptor.close()
            return
        try:
            self._read()
        except OSError:
            self._give_up()

    async def _dispatch(self) -> None:
        """Call or wake the watches that each event concerns, until the last watch is closed."""
        try:
            with self._scope:
                while True:
                    await trio.lowlevel.wait_readable(self._descriptor.number)
                    self._read()
        except OSError:
            self._give_up()
            return
        except trio.Cancelled:
            leave_to_loop(self._descriptor)
            raise
        finally:
            self._resign()
        await put_away(self._descriptor)

    def _read(self) -> bool:
        """Dispatch one buffer of events; returns whether there were any (`catch_up` may have been faster)."""
        try:
            records = os.read(self._descriptor.number, _BUFFER)
        except BlockingIOError:
            return False
        self.wakeups += 1
        self._deliver(records)
        return True

    def _give_up(self) -> None:
        """inotify has failed: let all watches poll from now on."""
        self._for_each_watch(Watch._poll)
        self._resign()
        self._descriptor.close()

    def _resign(self) -> None:
        """Stop dispatching. The next watch starts another hub."""
        self.watched.clear()
        if _current.get(None) is self:
            _current.set(None)
        if self._reader is not None:
            self._reader.close()

    def _deliver(self, records: bytes) -> None:
        for number, mask, name in parse_events(records):
            self.events += 1
            if mask & IN_Q_OVERFLOW:
                self._for_each_watch(Watch.wake)
            if number not in self.watched:
                self._descriptor.end_unwanted()  # its inode is still being written to: once is enough
            for watch in self.watched.get(number, ()):
                watch._notice(number, mask, name)
            if mask & IN_IGNORED:
                self.watched.pop(number, None)

    def _for_each_watch(self, action: Callable[[Watch], None]) -> None:
        for watch in set().union(*self.watched.values()):
            action(watch)


def parse_events(records: bytes) -> list[tuple[int, int, bytes]]:
    """The watch number, mask and file name of each record that a read of an inotify descriptor returned."""
    events = []
    at = 0
    while at < len(records):
        number, mask, _cookie, length = _RECORD.unpack_from(records, at)
        at += _RECORD.size
        events.append((number, mask, records[at : at + length].rstrip(b"\0") if length else b""))
        at += length
    return events


_current: trio.lowlevel.RunVar[_Hub | None] = trio.lowlevel.RunVar("inotify", None)


def _join() -> _Hub | None:
    """The hub of this Trio run, started if necessary; `None` where inotify cannot be used."""
    hub = _current.get(None)
    if hub is None:
        try:
            hub = _Hub(take())
        except OSError:
            return None
        _current.set(hub)
        hub.start()
    hub.join()
    return hub
