"""Everything that a session does on this machine's file system, beneath a workdir that an agent controls."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

import trio

from optio_agents.hosts.base import LogLost, LogPosition, LogReader, OpenDeliverable
from optio_agents.hosts.files.beneath import LeavesDirectory, open_file, replacing, write_all
from optio_agents.hosts.files.deadline import DeadlineThreads
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.files.openat2 import open_near, status_beneath
from optio_agents.hosts.files.page_cache import PIECE, read_piece
from optio_agents.hosts.log.local_reader import open_log_reader
from optio_agents.protocol.paths import LOG_NAME
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

DELIVERABLES = "deliverables"
"""The directory, in the workdir, from which an agent delivers."""

SMALL = 16 * 1024
"""Bytes up to which a deliverable is read as soon as it is open."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_INVALID = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
_NOT_REGULAR = (errno.ENXIO, errno.ENODEV, errno.EISDIR, errno.EOPNOTSUPP)
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class LocalFiles:
    """The local half of `hosts.base.SessionHost`. Holds no descriptor between calls.

    Args:
        workdir: absolute path of the directory in which the agent works. It need not exist yet.
    """

    def __init__(self, workdir: str) -> None:
        self.directory = Directory(workdir)
        self._threads = DeadlineThreads()

    async def prepare_channel(self) -> None:
        """Make `deliverables/` and an empty `optio.log`. Other files of these names (symlinks, too) are replaced.

        An `optio.log` that was restored with the workdir is replaced, so that it is never replayed.

        Raises:
            OSError: there is no workdir, it cannot be written to, or a directory is called `optio.log`.
        """
        await self._have_path_cached()
        with self.directory.open_now() as workdir:
            try:
                os.mkdir(DELIVERABLES, dir_fd=workdir)
            except FileExistsError:
                if not stat.S_ISDIR(status_beneath(workdir, DELIVERABLES).st_mode):
                    os.unlink(DELIVERABLES, dir_fd=workdir)
                    os.mkdir(DELIVERABLES, dir_fd=workdir)
            try:
                os.close(os.open(LOG_NAME, _NEW, 0o666, dir_fd=workdir))
            except FileExistsError:
                with replacing(workdir, LOG_NAME):
                    pass
        await trio.lowlevel.checkpoint_if_cancelled()  # `setup_workdir` has just let others run

    async def _have_path_cached(self) -> None:
        """See to it that `directory.open_now` need not wait.

        Raises:
            OSError: see `Directory.open`; `ETIMEDOUT`: a file system on the path does not answer.
        """
        try:
            self.directory.check_now()
        except BlockingIOError:
            await self._threads.run(self.directory.check)
            try:
                self.directory.check_now()
            except BlockingIOError:
                self.directory.is_cached = False

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[LogReader]:
        """See `hosts.base.SessionHost.open_log`. The rules are in `hosts.log.local_reader`."""
        try:
            await self._have_path_cached()
        except TimeoutError:  # a new reader would only wait again
            raise
        except OSError as error:
            raise LogLost(f"{self.directory.path}: {error.strerror or error}") from error
        with open_log_reader(
            self.directory, LOG_NAME, position, settled=settled, threads=self._threads
        ) as reader:
            yield reader

    @asynccontextmanager
    async def open_deliverable(self, relative_path: str, *, limit: int) -> AsyncIterator[OpenDeliverable]:
        """See `hosts.base.SessionHost.open_deliverable`.

        Symlinks that stay beneath `deliverables/` are followed; any other is refused (`OUTSIDE`), even one
        that leads elsewhere in the workdir.
        """
        opened = self._open_near(relative_path, limit)
        if opened is None:
            try:
                opened = await self._threads.run(
                    self._open_deliverable, relative_path, limit, discard=_Opened.close
                )
            except TimeoutError as error:  # ETIMEDOUT
                raise DeliverableRejected(RejectionKind.UNREADABLE, _text(error)) from error
        else:
            await trio.lowlevel.checkpoint()
        try:
            yield LocalDeliverable(opened, self._threads)
        finally:
            if opened.is_near:
                opened.close()
            elif opened.descriptor is not None:
                with trio.CancelScope(shield=True), suppress(OSError):
                    await self._threads.run(opened.close)

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        """See `hosts.base.SessionHost.install_scripts`."""
        await self._have_path_cached()
        with self.directory.open_now() as workdir:
            for name, text in scripts.items():
                with replacing(workdir, f"{directory}/{name}", mode=0o777) as descriptor:
                    write_all(descriptor, text.encode("utf-8", "surrogateescape"))
        await trio.lowlevel.checkpoint()
        return os.path.join(self.directory.path, directory)

    async def search_path(self) -> str:
        """See `hosts.base.SessionHost.search_path`: commands on this machine inherit ours."""
        await trio.lowlevel.checkpoint()
        return os.environ.get("PATH", "")

    def _open_near(self, path: str, limit: int) -> _Opened | None:
        """Open and check a deliverable at once, if it lies on the workdir's own file system."""
        try:
            with self.directory.open_now() as workdir:
                descriptor = open_near(workdir, DELIVERABLES.encode(), os.O_DIRECTORY | os.O_NOFOLLOW)
                if descriptor is None:
                    return None
                try:
                    file = open_near(descriptor, path.encode())
                finally:
                    os.close(descriptor)
        except (OSError, UnicodeEncodeError):
            return None  # the way through a thread finds the error
        return None if file is None else _checked(_Opened(file, is_near=True), limit)

    def _open_deliverable(self, path: str, limit: int) -> _Opened:
        """Open and check a deliverable, wherever it lies: in a thread."""
        with _blaming_agent(path):
            opened = _Opened(self._open(path))
        return _checked(opened, limit)

    def _open(self, path: str) -> int:
        with self.directory.open() as workdir:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                root = os.open(DELIVERABLES, flags, dir_fd=workdir)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    raise LeavesDirectory(DELIVERABLES) from error
                raise
        try:
            return open_file(root, path.encode())  # the log is UTF-8 in every locale
        finally:
            os.close(root)


class _Opened:
    """An open file, and its content once it was read."""

    def __init__(self, descriptor: int, *, is_near: bool = False) -> None:
        self.is_near = is_near
        """It lies on the workdir's own file system, so `fstat` does not wait for a mount of the agent."""
        self.descriptor: int | None = descriptor
        try:
            self.status = os.fstat(descriptor)
        except BaseException:
            self.close()
            raise
        self.content: bytes | None = None

    def read_whole(self) -> None:
        """Read a small file and close it."""
        assert self.descriptor is not None
        try:
            self.content = os.pread(self.descriptor, self.status.st_size, 0)
        except OSError as error:
            raise DeliverableRejected(RejectionKind.UNREADABLE, _text(error)) from error
        self.check_read(len(self.content))
        self.check_unchanged()
        self.close()

    def wait_for_writes(self) -> None:
        """Wait until a write that is in progress has ended, and refuse the file if another has begun meanwhile.

        One write of many megabytes sets the file's time when it begins, and no other time tells that it goes on. The
        kernel holds the inode's lock for as long, and a look for data takes that as well.
        """
        assert self.descriptor is not None
        with suppress(OSError):  # nothing but a hole, or a file system that does not know of holes
            os.lseek(self.descriptor, 0, os.SEEK_DATA)
        self.check_unchanged()

    def check_read(self, size: int) -> None:
        """Refuse a file that ended too early."""
        if size < self.status.st_size:
            detail = f"it shrank from {self.status.st_size:,} to {size:,} bytes"
            raise DeliverableRejected(RejectionKind.CHANGED, detail)

    def check_unchanged(self) -> None:
        """Refuse a mixture of two versions. A write within one tick of the file system's clock (4 ms, less on newer
        kernels) of the check is not seen.
        """
        assert self.descriptor is not None
        now = os.fstat(self.descriptor)
        if now.st_size != self.status.st_size:
            detail = f"it changed its size from {self.status.st_size:,} to {now.st_size:,} bytes"
        elif now.st_mtime_ns != self.status.st_mtime_ns:
            detail = "it was written to"
        else:
            return
        raise DeliverableRejected(RejectionKind.CHANGED, detail)

    def close(self) -> None:
        """Close it. Idempotent."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _checked(opened: _Opened, limit: int) -> _Opened:
    """Refuse a file that is not regular or too large; read a small one."""
    try:
        status = opened.status
        if not stat.S_ISREG(status.st_mode):
            raise DeliverableRejected(RejectionKind.NOT_REGULAR, f"it is a {_file_type(status.st_mode)}")
        if status.st_size > limit:
            detail = f"{status.st_size:,} bytes, where at most {limit:,} are taken"
            raise DeliverableRejected(RejectionKind.TOO_LARGE, detail)
        if status.st_size <= SMALL:
            opened.read_whole()
    except BaseException:
        opened.close()
        raise
    return opened


class LocalDeliverable:
    """A deliverable that is open. Implements `hosts.base.OpenDeliverable`."""

    def __init__(self, opened: _Opened, threads: DeadlineThreads) -> None:
        self._opened = opened
        self._threads = threads

    @property
    def size(self) -> int:
        """Bytes, as of the check."""
        return self._opened.status.st_size

    def chunks(self) -> AsyncIterator[bytes]:
        """See `hosts.base.OpenDeliverable.chunks`. May be called again; each call begins at the beginning."""
        return _Chunks(self._opened, self._threads)


class _Chunks:
    """Reads a deliverable piece by piece. It is no generator, so a caller may leave it half-way without cleanup."""

    def __init__(self, opened: _Opened, threads: DeadlineThreads) -> None:
        self._opened = opened
        self._threads = threads
        self._offset = 0

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        opened, offset = self._opened, self._offset
        left = opened.status.st_size - offset
        if not left:
            if opened.content is None and not opened.is_near:
                await self._threads.run(opened.check_unchanged)
            else:
                if opened.content is None:
                    opened.check_unchanged()
                await trio.lowlevel.checkpoint()
            raise StopAsyncIteration
        if opened.content is not None:
            piece = opened.content
        else:
            assert opened.descriptor is not None
            try:
                if not offset:
                    await self._threads.run(opened.wait_for_writes)
                piece = await read_piece(opened.descriptor, min(PIECE, left), offset, self._threads)
            except OSError as error:
                raise DeliverableRejected(RejectionKind.UNREADABLE, _text(error)) from error
        if not piece:
            opened.check_read(offset)
        self._offset += len(piece)
        return piece


@contextmanager
def _blaming_agent(path: str) -> Iterator[None]:
    """Turn the errors of opening an announced file into a rejection that is sent to the agent."""
    try:
        yield
    except LeavesDirectory as error:
        detail = f"{path!r} leads out of {DELIVERABLES}/"
        raise DeliverableRejected(RejectionKind.OUTSIDE, detail) from error
    except ValueError as error:  # a NUL, or text that no file name can hold
        raise DeliverableRejected(RejectionKind.INVALID_PATH, str(error)) from error
    except OSError as error:
        if error.errno in _OURS:
            raise
        raise DeliverableRejected(_kind(error), _text(error)) from error


def _kind(error: OSError) -> RejectionKind:
    for numbers, kind in (
        (_MISSING, RejectionKind.MISSING),
        (_INVALID, RejectionKind.INVALID_PATH),
        (_NOT_REGULAR, RejectionKind.NOT_REGULAR),
    ):
        if error.errno in numbers:
            return kind
    return RejectionKind.UNREADABLE


def _text(error: OSError) -> str:
    return error.strerror or str(error)


def _file_type(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "directory"),
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISCHR, "device"),
        (stat.S_ISBLK, "device"),
    ):
        if test(mode):
            return name
    return "special file"
