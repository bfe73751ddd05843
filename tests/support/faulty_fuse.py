"""A file system that misbehaves at one request, for tests: run as a program it serves a descriptor of /dev/fuse.

    faulty_fuse.py DESCRIPTOR OPERATION FAULT ROOT

ROOT is `directory`, with one file `x` of `SIZE` bytes in it, or `file`: such a file itself. OPERATION is one of
`OPERATIONS`, or `none`. FAULT: `hang` (no answer, ever), `error` (EIO), `truncate` (half of what was asked for, and
then the end), `excess` (the file goes on after its end).
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import time

SIZE = 100_000
LOOKUP, GETATTR, OPEN, READ, INIT, OPENDIR = 1, 3, 14, 15, 26, 27
OPERATIONS = {"lookup": LOOKUP, "getattr": GETATTR, "open": OPEN, "read": READ, "opendir": OPENDIR}
_HEADER = struct.Struct("<IIQQIIII")
_ANSWER = struct.Struct("<IiQ")
_DIRECT_IO = 1
_ENDED = {25: b"", 18: b"", 29: b"", 34: b""}  # flush, release, releasedir, access: fine


def attributes(node: int, mode: int) -> bytes:
    """A `struct fuse_attr`."""
    return struct.pack(
        "<6Q10I", node, SIZE, 0, 0, 0, 0, 0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0
    )


class Server:
    """Answers one request after another."""

    def __init__(self, operation: int, fault: str, *, is_file: bool) -> None:
        self._operation = operation
        self._fault = fault
        self._is_file = is_file

    def answer(self, request: bytes) -> bytes | None:
        """The answer to a request; `None`: there is none."""
        _, code, unique, node, *_ = _HEADER.unpack_from(request)
        data, error = self._result(code, node, request[_HEADER.size :])
        if code == self._operation and self._fault == "hang":
            return None
        if code == self._operation and self._fault == "error":
            data, error = b"", errno.EIO
        return _ANSWER.pack(_ANSWER.size + len(data), -error, unique) + data

    def _result(self, code: int, node: int, body: bytes) -> tuple[bytes, int]:
        if code == INIT:
            return struct.pack("<IIIIHHIIHH", 7, 31, 65536, 0, 16, 12, 131072, 1, 32, 0) + bytes(28), 0
        if code == LOOKUP:
            if body.rstrip(b"\0") != b"x":
                return b"", errno.ENOENT
            return struct.pack("<QQQQII", 2, 0, 0, 0, 0, 0) + attributes(2, 0o100644), 0
        if code == GETATTR:
            is_file = self._is_file or node == 2
            return struct.pack("<QII", 0, 0, 0) + attributes(node, 0o100644 if is_file else 0o40755), 0
        if code in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, _DIRECT_IO, 0), 0
        if code == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self._content(offset, size), 0
        return _ENDED.get(code, b""), 0 if code in _ENDED else errno.ENOSYS

    def _content(self, offset: int, size: int) -> bytes:
        if self._operation == READ and self._fault == "excess":
            return b"x" * size
        end = SIZE // 2 if self._operation == READ and self._fault == "truncate" else SIZE
        return b"x" * max(0, min(size, end - offset))


def main() -> None:
    """Serve until the mount is gone."""
    descriptor, operation, fault, root = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    server = Server(OPERATIONS.get(operation, -1), fault, is_file=root == "file")
    while True:
        try:
            request = os.read(descriptor, 1 << 20)
        except PermissionError:  # not mounted yet
            time.sleep(0.02)
            continue
        except OSError:
            return
        answer = server.answer(request)
        if answer is not None:
            with contextlib.suppress(OSError):
                os.write(descriptor, answer)


if __name__ == "__main__":
    main()
