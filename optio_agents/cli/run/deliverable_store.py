"""Saving deliverables on this machine: byte for byte, complete or not at all, and never outside the directory.

The agent may also write into the directory, so its paths are not trusted after the start. The directory is opened once,
before the agent runs. Every access goes through that descriptor, one path component at a time, following no link.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeAlias

import trio

from optio_agents.cli.exit_codes import CommandFailure, ExitCode, UsageError
from optio_agents.hosts.files.beneath import write_all

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

UNSAVED_LIMIT = 1000
"""How many unsaved deliverables are remembered by name; a disk that is full may fail any number of them."""


REMEMBERED = 10_000
"""How many files of this run are remembered, to tell them from those that were there before."""

FileIdentity: TypeAlias = tuple[int, int]
"""Device and inode."""


BATCH = 256
"""Files after which what was saved is brought to the disk."""


class Incoming(Protocol):
    """The part of a session's `DeliverableFile` that `save` needs."""

    @property
    def path(self) -> str:
        """Relative to the agent's deliverables directory."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The content, piece by piece."""


class Unsaved(Exception):  # noqa: N818 - named for what happened
    """A deliverable could not be saved because of an error on our side. The agent gets that reply."""


class DeliverableStore:
    """The directory in which deliverables are saved. Used by one task at a time.

    Attributes:
        root: the directory, as the user named it.
        saves: the number of times a deliverable was saved.
        on_replaced: called with the path of a replaced file that existed before this run.
        unsaved: why a deliverable could not be saved, by its path; removed when a later attempt succeeds.
    """

    def __init__(self, root: Path, *, overwrite_hidden: bool = False) -> None:
        """Open `root`; make it if it does not exist.

        Args:
            root: the directory.
            overwrite_hidden: whether to replace files with a path component that begins with a dot.

        Raises:
            UsageError: it is not a directory or cannot be written.
            CommandFailure: the disk is full (`ExitCode.IO_ERROR`).
        """
        self.root = root
        self.saves = 0
        self._unsynced = 0
        self.unsaved: dict[str, str] = {}
        self._overwrite_hidden = overwrite_hidden
        self.on_replaced: Callable[[Path], object] = lambda path: None
        self._ours: set[FileIdentity] = set()
        self._made = not root.exists()
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(root, _DIRECTORY)
        except OSError as error:
            message = f"cannot save deliverables in {root}: {error.strerror}"
            if error.errno in _NO_ROOM:
                raise CommandFailure(ExitCode.IO_ERROR, message) from error
            raise UsageError(message) from error
        if not os.access(root, os.W_OK | os.X_OK):
            os.close(self._descriptor)
            raise UsageError(f"cannot save deliverables in {root}: it must be writable")

    def close(self) -> None:
        """Close the directory; remove it if it was made here and nothing was saved."""
        self._sync()
        os.close(self._descriptor)
        if self._made and not self.saves:
            with suppress(OSError):  # it contains something else, or is gone: do not remove it
                self.root.rmdir()

    async def save(self, file: Incoming) -> Path:
        """Save `file` under its own relative path, replacing an existing file, and return its path.

        Raises:
            Unsaved: it could not be written (disk full, a directory of that name, ...).
            DeliverableRejected: it could not be read from the agent's workdir.
        """
        try:
            await self._save(file)
        except OSError as error:
            why = error.strerror or str(error)
            if len(self.unsaved) < UNSAVED_LIMIT:
                self.unsaved[file.path] = why
            raise Unsaved(f"{file.path} could not be saved: {why}") from error
        self.unsaved.pop(file.path, None)
        self.saves += 1
        self._unsynced += 1
        if self._unsynced >= BATCH:
            await trio.to_thread.run_sync(self._sync)
        return self.root / file.path

    async def _save(self, file: Incoming) -> None:
        *parents, name = _components(file.path)
        directory = await trio.to_thread.run_sync(self._open_beneath, parents)
        try:
            temporary = f".{secrets.token_hex(8)}.part"
            earlier = await trio.to_thread.run_sync(_identity, name, directory)
            if earlier is not None and not self._overwrite_hidden and _is_hidden(file.path):
                raise OSError(
                    errno.EEXIST,
                    "it exists, and a file with a dot name is replaced only with --overwrite-hidden",
                )
            target = await trio.to_thread.run_sync(
                lambda: os.open(temporary, _NEW_FILE, 0o666, dir_fd=directory)
            )
            ours = _identity_of(os.fstat(target))
            try:
                try:
                    async with aclosing(file.chunks()) as chunks:
                        async for chunk in chunks:
                            await trio.to_thread.run_sync(write_all, target, chunk)
                finally:
                    os.close(target)
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                self._note_saved(file.path, earlier, ours)
            except BaseException:
                with suppress(FileNotFoundError):  # another process was faster
                    os.unlink(temporary, dir_fd=directory)
                raise
        finally:
            os.close(directory)

    def _sync(self) -> None:
        """Flush the saved files to the disk: once for many files, because each flush costs the same."""
        if self._unsynced:
            self._unsynced = 0
            _sync_file_system(self._descriptor)

    def _note_saved(self, path: str, earlier: FileIdentity | None, ours: FileIdentity) -> None:
        """Report a replaced file that existed before this run. After `REMEMBERED` saved files, report none."""
        if earlier is not None and earlier in self._ours:
            self._ours.remove(earlier)
        elif earlier is not None and len(self._ours) < REMEMBERED:
            self.on_replaced(self.root / path)
        if len(self._ours) < REMEMBERED:
            self._ours.add(ours)

    def _open_beneath(self, parents: list[bytes]) -> int:
        """Open the directory `parents` beneath the root; make missing ones. A link is an error."""
        current = os.dup(self._descriptor)
        for name in parents:
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o777, dir_fd=current)
                inner = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            finally:
                os.close(current)
            current = inner
        return current


def _sync_file_system(descriptor: int) -> None:
    """`syncfs(2)`, for which Python has no function. Without it in libc, sync all file systems."""
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
    if syncfs is None or syncfs(descriptor) != 0:
        os.sync()


def _components(path: str) -> list[bytes]:
    """The names in a relative path, in UTF-8 as the agent wrote them, independent of the locale.

    Raises:
        OSError: it is absolute, empty or contains `..`. The session has checked that already. A path that an agent
            chose is checked a second time.
    """
    parts = list(PurePosixPath(path).parts)
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise OSError(errno.EINVAL, "not a path beneath the deliverables directory")
    return [part.encode() for part in parts]


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(path).parts)


def _identity(name: bytes, directory: int) -> FileIdentity | None:
    """The device and inode of `name` in `directory`; `None` if there is no such file."""
    try:
        return _identity_of(os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _identity_of(status: os.stat_result) -> FileIdentity:
    return status.st_dev, status.st_ino
