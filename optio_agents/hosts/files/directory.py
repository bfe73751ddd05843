"""A directory that is recognised by its inode: all local paths are opened relative to it.

Paths are resolved again at every use, and an agent may rename its workdir and put a symlink in its place at
any moment. A `Directory` remembers its inode and refuses any other, so it need not keep a descriptor open.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class Directory:
    """The directory at `path` (absolute). Its identity is the inode that is found when it is first opened."""

    def __init__(self, path: str) -> None:
        self.path = path
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
            identity = (status.st_dev, status.st_ino)
            if self._identity is None:
                self._identity = identity
            elif identity != self._identity:
                raise OSError(errno.ESTALE, "another directory has taken its place", self.path)
            yield descriptor
        finally:
            os.close(descriptor)

    def check(self) -> None:
        """Raise the `OSError` that `open` would raise."""
        with self.open():
            pass

    def forget(self) -> None:
        """Accept the inode that is found when it is opened next: we are about to make the directory again."""
        self._identity = None
