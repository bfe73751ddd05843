"""Follows a log on another machine and streams it. The source of this file runs there, by `python3 -c`.

Needs Python 3.7 or newer there, and only its standard library. Without inotify it looks five times a second.
Arguments: the log's path, the offset at which to begin, the digest of the bytes before the offset (hex, may be
empty) and the number of those bytes. It ends with its standard input, so that it does not outlive the connection.

What it prints is a series of records: a letter, four bytes of length (big-endian), and that many bytes.

    D   bytes of the log, in order
    H   eight bytes: the size of a hole that follows, in the middle of a line of more than `PIECE` bytes
    R   the log was truncated, rewritten or replaced: what follows begins at offset 0 of it
    E   everything has been sent; answers an `F` on standard input (nothing more will be written)
    X   why it cannot go on, as text; then it exits

The rules are those of `local_reader`, in short: the bytes before the offset must be unchanged, a file
that was written to and has neither grown nor changed is a new log, as is one whose name was missing or whose
predecessor still has a name; a file that has lost its name is read to its end; no link is followed; after `F`,
what was there is read, and a little more.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import stat
import struct
import sys
import time

PIECE = 256 * 1024
CONTEXT = 1024
LOOK = 0.2
SETTLE = 0.1
OVERTIME = 2.0
MODIFY = 0x2
NAME_LOST = 0x40 | 0x200  # IN_MOVED_FROM, DELETE
CHANGES = MODIFY | 0x4 | NAME_LOST | 0x80 | 0x100  # IN_ATTRIB, MOVED_TO, CREATE
EVENT = struct.Struct("iIII")


def send(kind: bytes, data: bytes = b"") -> None:
    """Print one record."""
    view = memoryview(kind + struct.pack(">I", len(data)) + data)
    while view:
        view = view[os.write(1, view) :]


def digest(data: bytes) -> str:
    """Return what identifies the bytes before an offset."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Follower:
    """The position of reading, and the open file."""

    def __init__(self, path: str, changes: int) -> None:
        self.path = path
        self.name = os.fsencode(os.path.basename(path))
        self.changes = changes  # descriptor of inotify, or -1
        self.file = -1
        self.offset = 0
        self.context = b""
        self.superseded = False
        self.written = self.name_lost = False  # set by inotify's events
        self.modified = 0  # the file's time when it was read to `offset`; 0: not known
        self.suspected = 0  # ... that makes it look rewritten
        self.since = 0.0
        self.finished = 0.0  # when F came; 0: not yet
        self.rest = -1  # after F: how much has to be read
        self.rest_is_final = False

    def resume(self, offset: int, expected: str, size: int) -> None:
        """Continue at an offset if the bytes before it are the same; otherwise begin at 0 and send an `R`."""
        if offset and self.open():
            before = os.pread(self.file, size, max(0, offset - size))
            if len(before) == size and digest(before) == expected:
                self.offset, self.context = offset, before
                return
            send(b"R")
        elif offset:
            send(b"R")

    def open(self) -> bool:
        """Open what has the name now."""
        try:
            file = os.open(
                self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            )
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("the log is not a regular file")
        self.take_events()
        self.file, self.superseded = file, False
        self.name_lost, self.modified, self.rest = False, 0, -1
        return True

    def take_events(self) -> None:
        """Note the events of the file and of its name."""
        if self.changes < 0:
            self.written = True  # not known: decide by the file's time alone
            return
        try:
            while True:
                events, at = os.read(self.changes, 65536), 0
                while at < len(events):
                    mask, length = EVENT.unpack_from(events, at)[1], EVENT.unpack_from(events, at)[3]
                    at += EVENT.size + length
                    if events[at - length : at].rstrip(b"\0") == self.name:
                        self.written = self.written or bool(mask & MODIFY)
                        self.name_lost = self.name_lost or bool(mask & NAME_LOST)
        except BlockingIOError:
            pass

    def read(self) -> bool:
        """Send one piece, or take one step towards another file. Returns False when all has been sent."""
        if self.file < 0 and not self.open():
            return False
        if self.finished and self.is_overtime():
            return False
        data = os.pread(self.file, PIECE, self.offset - len(self.context))
        if not data.startswith(self.context):
            self.begin_again()
            return True
        new = data[len(self.context) :]
        if new:
            send(b"D", new)
            self.offset += len(new)
            self.context = data[-CONTEXT:]
            status = os.fstat(self.file)
            self.modified = status.st_mtime_ns if status.st_size == self.offset else 0
            self.written, self.suspected = False, 0
            if len(data) == PIECE and b"\n" not in new and b"\r" not in new:
                self.skip_hole()
            return True
        return self.look_up_name()

    def skip_hole(self) -> None:
        """Continue after a hole that begins here, in the middle of a line that is too long."""
        try:
            after = os.lseek(self.file, self.offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                return  # this file system does not say where its holes are
            after = os.fstat(self.file).st_size
        if after > self.offset:
            send(b"H", struct.pack(">Q", after - self.offset))
            self.offset = after
            self.context = os.pread(self.file, CONTEXT, max(0, after - CONTEXT))

    def is_overtime(self) -> bool:
        """After F: whether everything that counts has been sent while the log still grows."""
        size = os.fstat(self.file).st_size
        if self.rest < 0 or (self.offset >= self.rest and not self.rest_is_final):
            self.rest = size
            self.rest_is_final = time.monotonic() >= self.finished + OVERTIME
        return self.rest_is_final and size > self.rest and self.offset >= self.rest

    def was_rewritten(self, status: os.stat_result) -> bool:
        """Whether the log that was read to its end was written again with the same bytes."""
        if status.st_size != self.offset or not self.offset:
            self.suspected = 0
            return False
        if not self.modified:
            self.modified, self.written, self.suspected = status.st_mtime_ns, False, 0
        self.take_events()
        if status.st_mtime_ns == self.modified or not self.written:
            return False
        if self.suspected != status.st_mtime_ns:
            self.suspected, self.since = status.st_mtime_ns, time.monotonic()
        return time.monotonic() >= self.since + SETTLE

    def look_up_name(self) -> bool:
        """At the end of the open file: is it still the one that has the name?"""
        try:
            named = os.lstat(self.path)
        except FileNotFoundError:
            self.name_lost = True
            return False
        opened = os.fstat(self.file)
        if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
            self.superseded = self.name_lost = False
            if self.was_rewritten(named):
                self.begin_again()
                return True
            return False
        if not self.superseded:
            self.superseded = True  # read the old one to its end once more: it may have late writes
            return True
        self.take_events()
        is_new = self.name_lost or opened.st_nlink > 0 or named.st_size <= self.offset
        os.close(self.file)
        self.file = -1
        offset, context = self.offset, self.context
        if not self.open():
            return False
        if offset and not is_new and os.pread(self.file, len(context), offset - len(context)) == context:
            return True
        self.begin_again()
        return True

    def begin_again(self) -> None:
        """What was sent last is gone: begin again at 0."""
        self.offset, self.context = 0, b""
        self.modified = self.suspected = 0
        send(b"R")


def watch(directory: str) -> int:
    """Return a descriptor that is readable when something changes in the directory, or -1."""
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if descriptor >= 0 and libc.inotify_add_watch(descriptor, os.fsencode(directory), CHANGES) >= 0:
            return descriptor
    except (ImportError, OSError, AttributeError):  # no ctypes, no inotify
        pass
    return -1


def follow(path: str, offset: int, expected: str, size: int) -> None:
    """Stream until standard input ends or everything has been sent."""
    changes = watch(os.path.dirname(path))
    sources = [0] + ([changes] if changes >= 0 else [])
    follower = Follower(path, changes)
    follower.resume(offset, expected, size)
    while True:
        while follower.read():
            pass
        if follower.finished and not follower.suspected:
            send(b"E")
            return
        wait = LOOK if changes < 0 else SETTLE if follower.suspected else None
        ready = select.select(sources, [], [], wait)[0]
        if changes in ready:
            follower.take_events()
        if 0 in ready:
            if not os.read(0, 64):
                return
            follower.finished = time.monotonic()


def main() -> None:
    """Run as a program."""
    path, offset, expected, size = sys.argv[1:5]
    try:
        follow(path, int(offset), expected, int(size))
    except BrokenPipeError:
        pass
    except OSError as error:
        send(b"X", str(error).encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
