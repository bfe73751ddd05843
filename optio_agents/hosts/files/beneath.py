"""Opening and writing files beneath a directory in which an agent may change anything meanwhile.

Checking a path and then using it is two resolutions, and an agent can swap a component between them. Here a
path is walked once, component by component. Each component is opened relative to the descriptor of the one before,
and the kernel never follows a symlink. We read and resolve symlinks ourselves: one that stays beneath the directory
is followed, one that is absolute or leads out is refused. What is returned is therefore always beneath the
directory, and nothing needs to be checked afterwards.

`openat2(RESOLVE_BENEATH)` does the same in one call, but older kernels lack it and the default filters of older
container engines block it, so the walk is needed anyway. It costs about 3 µs per component.

All functions take the descriptor of the directory (`root`) and a relative path. They are synchronous and, except
for `make_directories`, only read directories that are in the kernel's cache.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LINK_LIMIT = 40  # as many as the kernel follows in one path
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEVER_WAIT = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LeavesDirectory(PermissionError):  # noqa: N818 - named for what happened, as trio does
    """A path, or a symlink on its way, leads out of the directory. The fault of the one who made it."""

    def __init__(self, path: str | bytes) -> None:
        super().__init__(errno.EXDEV, "leads out of the directory", os.fsdecode(path))


def open_file(root: int, path: str | bytes) -> int:
    """Open an existing file (of any type) for reading, without ever blocking on a FIFO or a device.

    Args:
        root: descriptor of the directory.
        path: relative to it. A `str` is encoded for the file system, like every path in Python.

    Raises:
        LeavesDirectory: the path leads out.
        OSError: as the system says.
    """
    with _Walk(root, path) as walk:
        while walk.pending:
            name = walk.pending.popleft()
            if walk.pending or name == b"..":
                walk.enter(name)
                continue
            try:
                return os.open(name, os.O_RDONLY | _NEVER_WAIT, dir_fd=walk.here)
            except OSError as error:
                if error.errno != errno.ELOOP or not walk.follow(name):
                    raise
        return os.dup(walk.here)


@contextmanager
def open_parent(
    root: int, path: str | bytes, *, make_directories: bool = False
) -> Iterator[tuple[int, bytes]]:
    """The descriptor of the directory that holds `path`, and the last component, which may be replaced or removed.

    Raises:
        LeavesDirectory: the path leads out.
        ValueError: the path names a directory (it is empty or ends with `/`, `.` or `..`).
        OSError: as the system says.
    """
    parent, _, name = os.fsencode(path).rpartition(b"/")
    if name in (b"", b".", b".."):
        raise ValueError(f"{path!r} names no file")
    with _Walk(root, parent) as walk:
        while walk.pending:
            walk.enter(walk.pending.popleft(), make=make_directories)
        yield walk.here, name


@contextmanager
def replacing(
    root: int, path: str | bytes, *, mode: int = 0o666, make_directories: bool = True
) -> Iterator[int]:
    """A descriptor to write to. If the block succeeds, what was written replaces `path` in one step.

    What is at `path` (a symlink, too) is replaced, never written through. The temporary file is next to `path`, has a
    name that cannot be guessed, and is removed if the block fails. `mode` is subject to the umask.

    Raises:
        LeavesDirectory, ValueError, OSError: as for `open_parent`.
    """
    with open_parent(root, path, make_directories=make_directories) as (parent, name):
        temporary = f".{secrets.token_hex(8)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, mode, dir_fd=parent)
        try:
            try:
                yield descriptor
            finally:
                os.close(descriptor)
            os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=parent)
            raise


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all bytes, in as many calls as necessary."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class _Walk:
    """A walk down from a directory: a stack of open descriptors, and the remaining components."""

    def __init__(self, root: int, path: str | bytes) -> None:
        path = os.fsencode(path)
        if path.startswith(b"/"):
            raise LeavesDirectory(path)
        self._path = path
        self._stack = [os.dup(root)]
        self._links = 0
        self.pending: deque[bytes] = deque(_components(path))

    def __enter__(self) -> _Walk:
        return self

    def __exit__(self, *_: object) -> None:
        while self._stack:
            os.close(self._stack.pop())

    @property
    def here(self) -> int:
        return self._stack[-1]

    def enter(self, name: bytes, *, make: bool = False) -> None:
        """Enter a directory, or the target of a symlink of that name."""
        if name == b"..":
            if len(self._stack) == 1:
                raise LeavesDirectory(self._path)
            os.close(self._stack.pop())
            return
        try:
            self._stack.append(os.open(name, _DIRECTORY, dir_fd=self.here))
        except FileNotFoundError:
            if not make:
                raise
            with suppress(FileExistsError):  # another process was faster
                os.mkdir(name, dir_fd=self.here)
            self._stack.append(os.open(name, _DIRECTORY, dir_fd=self.here))
        except OSError as error:
            # Linux reports ENOTDIR for a symlink here, other systems ELOOP.
            if error.errno not in (errno.ENOTDIR, errno.ELOOP) or not self.follow(name):
                raise

    def follow(self, name: bytes) -> bool:
        """If `name` is a symlink, replace it with its target. Returns whether it is one."""
        try:
            target = os.readlink(name, dir_fd=self.here)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        self._links += 1
        if self._links > _LINK_LIMIT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._path)
        if target.startswith(b"/"):
            raise LeavesDirectory(self._path)
        self.pending.extendleft(reversed(_components(target)))
        return True


def _components(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".")]
