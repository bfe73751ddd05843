"""Log files on this machine: opening one by its name, finding the one that a position was taken in, reading it.

Nothing is opened through a symlink or on another file system than the directory's, nothing but a regular file is
opened, and opening never blocks.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from struct import Struct

from optio_agents.hosts.base import WINDOW_LIMIT, LogLost, LogPosition
from optio_agents.hosts.files.openat2 import open_beneath, status_beneath

CONTEXT = 1024
"""Bytes before the offset that must still be the same for the file to be the same log."""

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_IDENTITY = Struct("<QQ")  # device and inode; a position's fingerprint is this, and the context of its offset


def identity(status: os.stat_result) -> bytes:
    """What distinguishes a file from all others: the beginning of a position's fingerprint."""
    return _IDENTITY.pack(status.st_dev, status.st_ino)


def check_position(position: LogPosition) -> None:
    """Refuse a position that was not taken in a local file.

    Raises:
        LogLost: it was made by another kind of reader.
    """
    if position.offset and len(position.fingerprint) <= _IDENTITY.size:
        raise LogLost(f"{position} was not made by a reader of local files")


def open_log_file(path: str, directory: int) -> int | None:
    """Open the file that has the last name of `path`, in an open directory; `None` if it is missing.

    Raises:
        LogLost: it is a symbolic link, or not a regular file.
        OSError: it cannot be opened.
    """
    name = os.path.basename(path)
    try:
        try:
            file = open_beneath(directory, os.fsencode(name), os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            file = os.open(name, _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LogLost(f"{path} is a symbolic link") from error
        if error.errno == errno.EXDEV:
            raise LogLost(f"{path} is on another file system than its directory") from error
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise LogLost(f"{path} is not a regular file")
    return file


def status_of_name(path: str, directory: int) -> os.stat_result | None:
    """The status of what has the last name of `path`, in an open directory; `None` if it is missing.

    Raises:
        LogLost: it is on another file system.
        OSError: as the system says.
    """
    try:
        return status_beneath(directory, os.path.basename(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise LogLost(f"{path} is on another file system than its directory") from error
        raise


def open_at_position(path: str, directory: int, position: LogPosition) -> tuple[int | None, bool]:
    """Open the file that a position was taken in, or the one that has its name now.

    Returns:
        The file, or `None` if there is neither; and whether reading continues at the position. That is so in the same
        file, also under another name (rotated), and in a longer one with the same bytes before the position (the log
        was saved again).

    Raises:
        LogLost: what has the name is a symbolic link, or not a regular file.
        OSError: a file cannot be opened or read.
    """
    file = open_log_file(path, directory)
    if file is not None and _is_file_of(file, position):
        return file, True
    try:
        renamed = _find_renamed(path, directory, position)
    except BaseException:
        if file is not None:
            os.close(file)
        raise
    if renamed is not None:
        if file is not None:
            os.close(file)
        return renamed, True
    if file is None:
        return None, False
    return file, os.fstat(file).st_size > position.offset and _has_context(file, position)


def _find_renamed(path: str, directory: int, position: LogPosition) -> int | None:
    """Look in the directory for the inode that a position was taken in."""
    device, inode = _IDENTITY.unpack_from(position.fingerprint)
    listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        with os.scandir(listed) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.inode() == inode and entry.is_file(follow_symlinks=False)
            ]
    finally:
        os.close(listed)
    for name in names:
        file = open_log_file(os.path.join(os.path.dirname(path), name), directory)
        if file is None:
            continue
        if os.fstat(file).st_dev == device and _has_context(file, position):
            return file
        os.close(file)
    return None


def _is_file_of(file: int, position: LogPosition) -> bool:
    """Whether a position was taken in this inode, and the bytes before it are unchanged."""
    return position.fingerprint.startswith(identity(os.fstat(file))) and _has_context(file, position)


def _has_context(file: int, position: LogPosition) -> bool:
    """Whether the bytes before a position are the same as when it was taken."""
    return bytes_before(file, position.offset) == position.fingerprint[_IDENTITY.size :]


def bytes_before(file: int, offset: int) -> bytes:
    """The context of an offset (fewer bytes if the file ends before it)."""
    size = min(CONTEXT, offset)
    return os.pread(file, size, offset - size)


class _Scratch(threading.local):
    """The buffer for large pieces, one for each thread.

    A new 256 KiB object for each piece, in addition to the window made of it, would exceed what the allocator keeps.
    It would return the memory to the kernel and get it back page by page, which costs as much as the read.
    """

    def __init__(self) -> None:
        self.buffer = bytearray(WINDOW_LIMIT)


_scratch = _Scratch()


def read_piece(file: int, size: int, offset: int) -> bytes | bytearray:
    """Read up to `size` bytes. The result is valid until the next read of this thread."""
    if size < WINDOW_LIMIT:
        return os.pread(file, size, offset)
    count = os.preadv(file, [_scratch.buffer], offset)
    return _scratch.buffer if count == WINDOW_LIMIT else bytes(_scratch.buffer[:count])
