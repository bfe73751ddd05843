"""A directory that is recognised by its inode: all local paths are opened relative to it.

Paths are resolved again at every use, and an agent may rename its workdir and put a symlink in its place at
any moment. A `Directory` remembers its inode and refuses any other, so it need not keep a descriptor open.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from optio_agents.hosts.files.openat2 import open_cached


class Directory:
    """The directory at `path` (absolute). Its identity is the inode that is found when it is first opened."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_cached = True
        """Whether the kernel keeps this path. Some network file systems are asked each time: then `open_now` waits."""
        self._identity: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    @contextmanager
    def open(self) -> Iterator[int]:
        """A descriptor of it, for use as `dir_fd`.

        Raises:
            OSError: it is missing, is a symlink, or another directory has taken its place (`ESTALE`).
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            self._recognise((status.st_dev, status.st_ino))
            yield descriptor
        finally:
            os.close(descriptor)

    @property
    def device(self) -> int:
        """The number of its file system, as in `st_dev`; 0 before it was opened."""
        return 0 if self._identity is None else self._identity[0]

    @contextmanager
    def open_now(self) -> Iterator[int]:
        """`open` for code in the event loop: no file system is asked, also not one that is mounted on the path.

        Where the system cannot do that (see `openat2` and `is_cached`), it is `open`.

        Raises:
            BlockingIOError: that takes waiting; once a thread has called `check`, it does not.
            OSError: see `open`.
        """
        try:
            if not self.is_cached:
                raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
            descriptor, identity = open_cached(self.path)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            with self.open() as descriptor:
                yield descriptor
            return
        try:
            self._recognise(identity)
            yield descriptor
        finally:
            os.close(descriptor)

    def _recognise(self, identity: tuple[int, int]) -> None:
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise OSError(errno.ESTALE, "another directory has taken its place", self.path)

    def check(self) -> None:
        """Raise the `OSError` that `open` would raise."""
        with self.open():
            pass

    def check_now(self) -> None:
        """Raise the `OSError` that `open_now` would raise."""
        with self.open_now():
            pass

    def forget(self) -> None:
        """Accept the inode that is found when it is opened next: we are about to make the directory again."""
        self._identity = None
