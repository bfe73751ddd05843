"""Following a log file on this machine: every complete line once, across truncation, replacement and
restarts.

The rules, in the order in which they are applied:

1. A read begins a little before the offset. Unless it finds the same bytes there, the file was truncated
   or rewritten, and everything in it is new: reading begins again at 0. So a log that is shorter than what was
   read from it is a new log, and what is left in it counts as not handled yet, even if it reads the same
   (answering an agent twice is better than never answering a line that it wrote with `>` instead of `>>`). A
   log that was rewritten longer, with the same bytes before the offset, is the same log.
2. A log whose modification time changed, for which inotify reported a write, and which has neither grown nor changed
   its content, was rewritten with the same bytes: everything in it is new. The reader looks twice,
   `SETTLE` seconds apart, because an append that is going on shows its new time before its new size.
3. At the end of the file, the name is looked up again. If it is another inode, the open one is read to its
   end first (late writes included), then the new one. The new one is read from the offset if it is the same
   log, saved again with one more line: the bytes before the offset are the same, more follow, the old inode has
   no name left, and the name was never missing. Otherwise it is read from 0. While the name is missing, the
   open file is still followed.
4. Bytes that are known to be gone (they were read but completed no line before their file was truncated,
   rewritten or replaced) are counted in the next window's `lost`.
5. A hole in a line that is too long anyway is skipped, not read.
6. After `finish`, everything is read that was there by then. What is appended later is read for
   `OVERTIME` seconds only: a process that the agent left behind may continue to write for ever.

How files are opened is in `log_file`. Reads are made inline, without a thread: a log that is followed was written just
now and is in the page cache, where a read of 256 KiB takes about 20 µs. That is safe on a file system of the kernel's
own (see `files.file_systems`), and an agent cannot put another one in its place: names are looked up from the
directory that was recognised, by what the kernel has cached of its path and without entering another mount. What takes
waiting is left to a thread with a deadline. On a file system that may not answer, a thread asks it before each look.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum, auto
from functools import partial

import trio

from optio_agents.hosts.base import LOG_START, WINDOW_LIMIT, LogLost, LogPosition, Take, Window
from optio_agents.hosts.files.deadline import DeadlineThreads
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.files.file_systems import is_local
from optio_agents.hosts.log.framer import Frame, Framer
from optio_agents.hosts.log.inotify import Watch, open_watch
from optio_agents.hosts.log.log_file import (
    CONTEXT,
    bytes_before,
    check_position,
    identity,
    open_at_position,
    open_log_file,
    read_piece,
    status_of_name,
)
from optio_agents.hosts.log.windows import WindowBuilder

QUIET = 2.0
"""Seconds for which an unterminated last line must not have changed before `settled` is asked about it."""

SETTLE = 0.1
"""Seconds for which a log must look rewritten before it counts as rewritten."""

MISSING = 1.0
"""Seconds between two looks while the log's name is missing: no event says that its directory was removed."""

OVERTIME = 2.0
"""Seconds for which a log that grows after `finish` is still read, beyond what it held then."""

REPLACEMENTS = 16
"""How many files that take the log's name one after another after `finish` are still read."""

ASKED = 3
"""How often in turn a thread is sent to look at a path that the kernel does not keep, before it is opened as ever."""

_FIRST_READ = 32 * 1024
"""Bytes asked for where little is expected: a buffer this small costs no system call of its own, which counts when
an agent writes a line at a time.
"""


class _Step(Enum):
    """The result of one look at the file that gave no window."""

    AGAIN = auto()  # there may be more to read at once
    IDLE = auto()  # everything that is there has been read


class LocalLogReader:
    """Follows one log file; see `open_log_reader`. Implements `hosts.base.LogReader`."""

    def __init__(
        self,
        directory: Directory,
        name: str,
        position: LogPosition,
        watch: Watch,
        settled: Callable[[bytes], bool],
        threads: DeadlineThreads,
    ) -> None:
        self._directory = directory
        self._path = os.path.join(directory.path, name)
        self._watch = watch
        self._threads = threads
        self._is_local = True  # the open file's file system answers by itself
        self._asked = 0  # how often in turn a look took waiting
        self._settled = settled
        self._resume_at = position if position.offset else None
        self._file: int | None = None
        self._identity = b""  # of the open file
        self._superseded = False  # the name belongs to another inode by now
        self._missing = False  # the name is gone at present
        self._written_at: int | None = None  # its modification time when it was read to `_seen`, if known
        self._suspected = (0, 0.0)  # the modification time that makes it look rewritten, since when (0: none)
        self._finished_at = 0.0
        self._rest: int | None = None  # once finishing: how much of the file has to be read
        self._rest_is_final = False
        self._replaced = 0  # how often another file took the name after `finish`
        self._at = 0  # where the next read begins; past the offset only while a line is being skipped
        self._context = b""  # the bytes before `_at`, at most CONTEXT
        self._anchor = b""  # the bytes before the last line end handed out
        self._seen = 0  # the end of what was read of this file
        self._size = _FIRST_READ  # how much the next read asks for
        self._framer = Framer()
        self._windows = WindowBuilder(0)
        self._ended = False  # the last window said that the log still grows
        self._finishing = False
        self._quiet = (b"", 0, 0.0)  # the unterminated line, the file's end with it, since when
        self._refused = False  # `settled` has said no to that line

    async def read(self, take: Take | None = None) -> Window | None:
        """See `hosts.base.LogReader.read`. A cancelled call has taken nothing that was not offered."""
        await trio.lowlevel.checkpoint()  # let the task that got the last window run first
        while True:
            if self._windows.ready:
                return self._windows.ready.popleft()
            if self._ended:
                return None
            if self._finishing and self._is_overtime():
                return self._last_word(growing=True)
            self._watch.clear()
            if not self._is_local:
                await self._ask()
            try:
                step = self._step()
            except BlockingIOError:
                self._asked += 1
                if self._asked > ASKED:
                    self._directory.is_cached = False
                await self._ask()
                continue
            self._asked = 0
            if self._windows.ready:
                continue
            if step is _Step.AGAIN:
                await trio.lowlevel.checkpoint()
            elif self._finishing and not self._suspected[0]:
                self._flush()
                if not self._windows.ready:
                    return self._last_word()
            else:
                await self._wait(partial(self._offer, take) if take is not None and self._is_local else None)

    async def _ask(self) -> None:
        """Have a thread look at the directory and the log's name."""
        try:
            await self._threads.run(self._look_at_name)
        except TimeoutError:  # a new reader would only wait again
            raise
        except OSError as error:
            raise LogLost(f"{self._path}: {error.strerror or error}") from error

    def _look_at_name(self) -> None:
        with self._directory.open() as directory:
            status_of_name(self._path, directory)

    def finish(self) -> None:
        """See `hosts.base.LogReader.finish`."""
        if not self._finishing:
            self._finishing = True
            self._finished_at = trio.current_time()
        self._watch.wake()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file is not None:
            self._watch.follow(None)
            os.close(self._file)
            self._file = None

    async def _wait(self, offer: Callable[[], bool] | None) -> None:
        """Wait for a change, or until an unterminated last line has been quiet for long enough.

        While there is no such line, changes are offered at once.
        """
        partial = self._framer.partial
        line, seen, since = self._quiet
        if (line, seen) != (partial, self._seen):
            self._quiet = (partial, self._seen, since := trio.current_time())
            self._refused = False
        asks = bool(partial) and not self._refused
        deadline = since + QUIET if asks else math.inf
        if self._suspected[0]:
            deadline = min(deadline, self._suspected[1] + SETTLE)
        if self._missing:
            deadline = min(deadline, trio.current_time() + MISSING)
        if deadline == math.inf:
            await self._watch.wait(None if partial else offer)
            return
        with trio.move_on_at(deadline):
            await self._watch.wait()
            return
        if asks and trio.current_time() >= since + QUIET:
            if self._settled(partial):
                self._flush()
            else:
                self._refused = True

    def _offer(self, take: Take) -> bool:
        """The open file was written to: offer what is new, if it is simple. Returns whether it was taken.

        If not, nothing has changed: `read` continues and finds the same. This runs with cold caches, because the agent
        was silent for a while, so each step here costs ten times what it costs in a flood.
        """
        context = self._context
        assert self._file is not None
        try:
            chunk = os.pread(self._file, _FIRST_READ, self._at - len(context))
        except OSError:
            return False
        lines = chunk[len(context) :]
        if not (chunk.startswith(context) and self._framer.passes(lines)) or self._windows.lost:
            return False
        offset, context = self._windows.offset + len(lines), chunk[-CONTEXT:]
        if len(chunk) == _FIRST_READ or not take(
            Window(lines, LogPosition(offset, self._identity + context))
        ):
            return False
        self._windows.offset = self._at = self._seen = offset
        self._context = self._anchor = context
        self._note_modification()
        return True

    def _step(self) -> _Step:
        """Read one piece, or take one step towards another file."""
        try:
            if self._file is None and not self._open():
                return _Step.IDLE
            assert self._file is not None
            self._framer.unread()
            chunk = read_piece(self._file, self._size, self._at - len(self._context))
            if not chunk.startswith(self._context):
                self._go_back()
                return _Step.AGAIN
            if self._frame(chunk) or self._windows.ready:
                return _Step.AGAIN
            return self._look_up_name(self._file)
        except BlockingIOError:
            raise
        except OSError as error:
            raise LogLost(f"{self._path}: {error.strerror or error}") from error

    def _frame(self, chunk: bytes | bytearray) -> bool:
        """Cut a chunk, which begins with the context, into windows. Returns whether more may be readable at once."""
        base = self._at - len(self._context)
        end = base + len(chunk)
        if end < self._seen:
            self._windows.lost += self._seen - end  # the torn last line has become shorter
        full = len(chunk) == self._size
        if end != self._seen:
            self._seen = end
            self._written_at = None
            if not full:
                self._note_modification()
        for frame in self._framer.feed(chunk, len(self._context)):
            end = self._windows.offset + frame.size - base
            self._hand_out(frame, bytes(chunk[max(0, end - CONTEXT) : end]))
        # An unterminated tail is read again together with what will follow it, unless it is being skipped.
        if self._framer.skipping:
            self._at = self._seen
            self._context = bytes(chunk[-CONTEXT:])
            if full:
                self._skip_hole()
        else:
            self._at, self._context = self._windows.offset, self._anchor
        self._size = WINDOW_LIMIT if full else _FIRST_READ
        return full

    def _hand_out(self, frame: Frame, context: bytes) -> None:
        """Make a window of a frame; `context` is the bytes before its end."""
        self._anchor = context
        self._windows.add(frame, self._identity + context)

    def _flush(self) -> None:
        """Hand out the unterminated last line, if there is one."""
        if not self._framer.skipping:
            self._context = (self._context + self._framer.partial)[-CONTEXT:]
        frame = self._framer.flush()
        if frame is not None:
            self._hand_out(frame, self._context)
            self._at = self._windows.offset

    def _skip_hole(self) -> None:
        """Continue after a hole that begins at the reading position, in the middle of a line that is too long."""
        assert self._file is not None
        try:
            after = os.lseek(self._file, self._seen, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                return  # this file system does not say where its holes are
            after = os.fstat(self._file).st_size  # nothing but a hole up to the end
        if after > self._seen:
            self._framer.skip(after - self._seen)
            self._at = self._seen = after
            self._context = bytes_before(self._file, after)

    def _last_word(self, *, growing: bool = False) -> Window | None:
        """See `WindowBuilder.last_word`."""
        self._ended = growing
        return self._windows.last_word(self._identity + self._context, growing=growing)

    def _is_overtime(self) -> bool:
        """After `finish`: whether everything that counts has been read while the log still grows."""
        if self._replaced > REPLACEMENTS:
            return True
        if self._file is None:
            return False
        size = os.fstat(self._file).st_size
        if self._rest is None or (self._seen >= self._rest and not self._rest_is_final):
            self._rest = size
            self._rest_is_final = trio.current_time() >= self._finished_at + OVERTIME
        return self._rest_is_final and size > self._rest <= self._seen

    def _note_modification(self) -> None:
        """Everything up to `_seen` has just been read: note the time at which the file was written last."""
        assert self._file is not None
        status = os.fstat(self._file)
        self._written_at = status.st_mtime_ns if status.st_size == self._seen else None
        self._watch.written = False
        self._suspected = (0, 0.0)

    def _look_up_name(self, file: int) -> _Step:
        """At the end of the open file: is it still the one that has the name, and has it been left alone?"""
        with self._directory.open_now() as directory:
            status = status_of_name(self._path, directory)
        if status is None:
            self._missing = True
            return _Step.IDLE
        if identity(status) == self._identity:
            self._superseded = self._missing = False
            return self._look_for_rewriting(status)
        if not self._superseded:
            self._superseded = True  # read the old one to its end once more: it may have late writes
            return _Step.AGAIN
        begins_anew = self._has_lost_name(file) or status.st_size <= self._seen
        self.close()
        self._replaced += self._finishing
        if begins_anew:
            self._begin_again()
        return _Step.AGAIN

    def _has_lost_name(self, file: int) -> bool:
        """Whether the log was removed or moved away before another took its name."""
        self._watch.catch_up()
        return self._missing or self._watch.name_lost or os.fstat(file).st_nlink > 0

    def _look_for_rewriting(self, status: os.stat_result) -> _Step:
        """Whether the log that was read to its end was written again with the same bytes."""
        if status.st_size != self._seen or self._seen != self._windows.offset or not self._windows.offset:
            self._suspected = (0, 0.0)
            return _Step.IDLE
        if self._written_at is None:
            self._note_modification()
            return _Step.IDLE
        if status.st_mtime_ns == self._written_at:
            return _Step.IDLE
        if not self._watch.written and not self._watch.polling:
            self._watch.catch_up()
            if not self._watch.written:
                return _Step.IDLE  # `touch`
        now = trio.current_time()
        if self._suspected[0] != status.st_mtime_ns:
            self._suspected = (status.st_mtime_ns, now)
        if now < self._suspected[1] + SETTLE:
            return _Step.IDLE
        self._begin_again()
        return _Step.AGAIN

    def _open(self) -> bool:
        """Open the file that has the name now and find the place in it; return False while there is none."""
        position = self._resume_at
        with self._directory.open_now() as directory:
            if position is None:
                file = open_log_file(self._path, directory)
            else:
                file, continues = open_at_position(self._path, directory, position)
                position = position if continues else None
            self._is_local = is_local(directory, self._directory.device)
        self._missing = file is None
        if file is None:
            return False
        self._resume_at = None
        self._watch.catch_up()
        self._watch.name_lost = False  # that was an earlier file
        status = os.fstat(file)
        self._file = file
        self._identity = identity(status)
        self._superseded = False
        self._written_at = self._rest = None
        self._watch.follow(file)
        if position is not None:
            self._set_place(position.offset, bytes_before(file, position.offset))
        return True

    def _go_back(self) -> None:
        """What was read last is gone: go back to the offset, or to 0 if the bytes before the offset changed."""
        self._windows.lost += self._seen - self._windows.offset
        if self._framer.skipping:
            self._set_place(self._windows.offset, self._anchor)
        else:
            self._set_place(0, b"")

    def _begin_again(self) -> None:
        """This is another log, even if its bytes are the same: nothing of it has been handled."""
        self._windows.lost += self._seen - self._windows.offset
        self._set_place(0, b"")

    def _set_place(self, offset: int, context: bytes) -> None:
        self._windows.offset = self._at = self._seen = offset
        self._context = self._anchor = context
        self._framer = Framer(context)
        self._written_at = None
        self._suspected = (0, 0.0)


@contextmanager
def open_log_reader(
    directory: Directory,
    name: str,
    position: LogPosition = LOG_START,
    *,
    settled: Callable[[bytes], bool] = lambda partial: False,
    threads: DeadlineThreads | None = None,
) -> Iterator[LocalLogReader]:
    """Follow the file `name` in `directory` from `position`. The file may not exist yet.

    Holds one file descriptor while the file exists; no task of its own.

    Args:
        directory: where it is. A thread has opened it before, if that took waiting.
        name: of the file.
        position: where to begin.
        settled: see `hosts.base.SessionHost.open_log`.
        threads: what a look takes waiting for is done there.

    Raises:
        LogLost: the directory cannot be opened, or the position is not one of ours.
    """
    check_position(position)
    with ExitStack() as stack:
        try:
            try:
                with directory.open_now() as descriptor:
                    watch = stack.enter_context(open_watch(descriptor, name))
            except BlockingIOError:
                directory.is_cached = False
                with directory.open() as descriptor:
                    watch = stack.enter_context(open_watch(descriptor, name))
        except OSError as error:
            raise LogLost(f"{directory.path}: {error.strerror}") from error
        reader = LocalLogReader(directory, name, position, watch, settled, threads or DeadlineThreads())
        stack.callback(reader.close)
        yield reader
