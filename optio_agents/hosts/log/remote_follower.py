"""Follows a log on another machine and streams it: the source of this file is run there, by `python3 -c`.

Needs Python 3.7 or newer there, and nothing but its standard library; without inotify it looks five times a
second. Arguments: the log's path, the offset at which to begin, the digest of the bytes before the offset
(hex, may be empty) and how many bytes that are. It ends when its standard input does, so that nothing of it
outlives the connection.

What it prints is a series of records: a letter, four bytes of length (big-endian), and that many bytes.

    D   bytes of the log, in order
    R   the log was truncated, rewritten or replaced: what follows begins at offset 0 of it
    E   everything has been sent; answers an `F` on standard input (nothing more will be written)
    X   why it cannot go on, as text; then it exits

The rules are those of `log_reader`, in short: the bytes before the offset must still stand there, a file
that has lost its name is read to its end, no link is followed.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import select
import stat
import struct
import sys

PIECE = 256 * 1024
CONTEXT = 1024
LOOK = 0.2
CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200  # IN_MODIFY, ATTRIB, MOVED_FROM, MOVED_TO, CREATE, DELETE


def send(kind: bytes, data: bytes = b"") -> None:
    """Print one record."""
    view = memoryview(kind + struct.pack(">I", len(data)) + data)
    while view:
        view = view[os.write(1, view) :]


def digest(data: bytes) -> str:
    """Return what identifies the bytes before an offset."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Follower:
    """Where reading stands."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.file = -1
        self.offset = 0
        self.context = b""
        self.superseded = False

    def resume(self, offset: int, expected: str, size: int) -> None:
        """Go on at an offset if the same bytes stand before it; else begin anew, and say so."""
        if offset and self.open():
            before = os.pread(self.file, size, offset - size)
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
        self.file, self.superseded = file, False
        return True

    def read(self) -> bool:
        """Send one piece, or take one step towards another file. Returns False when all has been sent."""
        if self.file < 0 and not self.open():
            return False
        data = os.pread(self.file, PIECE, self.offset - len(self.context))
        if not data.startswith(self.context):
            self.begin_anew()
            return True
        new = data[len(self.context) :]
        if new:
            send(b"D", new)
            self.offset += len(new)
            self.context = data[-CONTEXT:]
            return True
        return self.look_up_name()

    def look_up_name(self) -> bool:
        """At the end of the open file: is it still the one that has the name?"""
        try:
            named = os.lstat(self.path)
        except FileNotFoundError:
            return False
        opened = os.fstat(self.file)
        if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
            self.superseded = False
            return False
        if not self.superseded:
            self.superseded = True  # once more to the end of the old one, which may have got late writes
            return True
        os.close(self.file)
        self.file = -1
        offset, context = self.offset, self.context
        if not self.open():
            return False
        if offset and os.pread(self.file, len(context), offset - len(context)) == context:
            return True
        self.begin_anew()
        return True

    def begin_anew(self) -> None:
        """What was sent last is not there any more."""
        self.offset, self.context = 0, b""
        send(b"R")


def watch(directory: str) -> int:
    """Return a descriptor that is readable when something changes in the directory, or -1."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if descriptor >= 0 and libc.inotify_add_watch(descriptor, os.fsencode(directory), CHANGES) >= 0:
            return descriptor
    except (OSError, AttributeError):
        pass
    return -1


def follow(path: str, offset: int, expected: str, size: int) -> None:
    """Stream until standard input ends or everything has been sent."""
    changes = watch(os.path.dirname(path))
    sources = [0] + ([changes] if changes >= 0 else [])
    follower = Follower(path)
    follower.resume(offset, expected, size)
    finishing = False
    while True:
        while follower.read():
            pass
        if finishing:
            send(b"E")
            return
        ready = select.select(sources, [], [], LOOK if changes < 0 else None)[0]
        if changes in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(changes, 65536)
        if 0 in ready:
            if not os.read(0, 64):
                return
            finishing = True


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
