"""Absolute paths that a task's code uses. Those in the task's own directories are opened beneath these."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from optio_agents.hosts.files.beneath import open_file, open_parent, replacing
from optio_agents.hosts.files.directory import Directory


class TaskPaths:
    """Opens absolute paths. An agent may have planted symlinks in the task's directories, and only there.

    Args:
        directories: the task's directories, inner ones first. A path in one of them is walked from there, and
            nothing on the way may lead out; any other path is the task author's own and opened as it is.
    """

    def __init__(self, directories: Sequence[Directory]) -> None:
        self._directories = tuple(directories)

    @contextmanager
    def replacing(self, path: str) -> Iterator[int]:
        """A descriptor to write to; what was written replaces `path` in one step (`beneath.replacing`).

        Missing directories on the way are made.
        """
        place = self._place(path)
        with ExitStack() as stack:
            if place is None:
                parent, relative = os.path.split(path)
                os.makedirs(parent, exist_ok=True)
                root = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, root)
            else:
                directory, relative = place
                root = stack.enter_context(directory.open())
            yield stack.enter_context(replacing(root, relative))

    @contextmanager
    def reading(self, path: str) -> Iterator[int]:
        """A descriptor of the regular file at `path`.

        Raises:
            OSError: it cannot be opened, or is not a regular file.
        """
        place = self._place(path)
        if place is None:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        else:
            directory, relative = place
            with directory.open() as root:
                descriptor = open_file(root, relative)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(path)
            if not stat.S_ISREG(mode):
                raise OSError(f"{path} is not a regular file")
            yield descriptor
        finally:
            os.close(descriptor)

    def remove(self, path: str) -> None:
        """Remove the file at `path`, or the symlink itself."""
        place = self._place(path)
        if place is None:
            os.unlink(path)
            return
        directory, relative = place
        with directory.open() as root, open_parent(root, relative) as (parent, name):
            os.unlink(name, dir_fd=parent)

    def _place(self, path: str) -> tuple[Directory, str] | None:
        """The task's directory that a path lies in, and the path in it; `None` if it lies in none."""
        path = os.path.normpath(path)
        for directory in self._directories:
            if path.startswith(directory.path + os.sep):
                return directory, path[len(directory.path) + 1 :]
        return None
