"""This machine as a Trio-native host: optio-host's `Host` protocol, and what a session needs.

Unlike optio-host's `LocalHost` it needs no asyncio loop, follows no symlink out of the task's directories, and ends
the processes that it started together with all their descendants.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from optio_agents.hosts.base import LogPosition, LogReader, OpenDeliverable
from optio_agents.hosts.files.archive import archive, restore
from optio_agents.hosts.files.beneath import replacing, write_all
from optio_agents.hosts.files.deadline import REMOVAL, DeadlineThreads
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.files.file_systems import is_local, is_missing
from optio_agents.hosts.files.openat2 import status_beneath
from optio_agents.hosts.files.page_cache import PIECE, read_piece
from optio_agents.hosts.files.removal import empty_directory, remove_tree
from optio_agents.hosts.files.task_paths import TaskPaths
from optio_agents.hosts.files.transfer import Source, file_digest, source_digest, write_source
from optio_agents.hosts.local_files import LocalFiles
from optio_agents.hosts.log.local_reader import open_log_reader
from optio_agents.hosts.processes.commands import LAUNCHED, Launched, run
from optio_agents.hosts.processes.pipes import InputWriter, OutputLines

if TYPE_CHECKING:
    from optio_host.host import ProcessHandle, RunResult

_logger = logging.getLogger(__name__)

ProgressCallback = Callable[[float | None, str | None], None]


class LocalHost:
    """A task's directories and processes on this machine. All coroutines are Trio coroutines.

    Args:
        taskdir: the task's directory, which becomes ours; `workdir` is `<taskdir>/workdir`.
        workdir: another path for the workdir.
        owned: whether both may be wiped and removed.
    """

    def __init__(self, taskdir: str, *, workdir: str | None = None, owned: bool = True) -> None:
        self.taskdir = os.path.abspath(taskdir)
        self.workdir = os.path.join(self.taskdir, "workdir") if workdir is None else os.path.abspath(workdir)
        self.files = LocalFiles(self.workdir)
        self._owned = owned
        self._directories = (self.files.directory, Directory(self.taskdir))
        self._paths = TaskPaths(self._directories)
        self._launched = Launched()
        self._threads = DeadlineThreads()
        self._removals = DeadlineThreads(REMOVAL)

    @classmethod
    def within(cls, workdir: str, *, fresh: bool = False) -> LocalHost:
        """A host whose workdir is an existing directory with other content, such as a user's project.

        `setup_workdir` then wipes nothing, and `cleanup_taskdir` removes nothing, unless it is `fresh` (a
        temporary directory made for this task).
        """
        path = os.path.realpath(workdir)
        return cls(path, workdir=path, owned=fresh)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.workdir}>"

    # What the session needs beyond optio-host's protocol.

    async def prepare_channel(self) -> None:
        """See `hosts.base.SessionHost.prepare_channel`."""
        await self.files.prepare_channel()

    def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AbstractAsyncContextManager[LogReader]:
        """See `hosts.base.SessionHost.open_log`."""
        return self.files.open_log(position, settled=settled)

    def open_deliverable(
        self, relative_path: str, *, limit: int
    ) -> AbstractAsyncContextManager[OpenDeliverable]:
        """See `hosts.base.SessionHost.open_deliverable`."""
        return self.files.open_deliverable(relative_path, limit=limit)

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        """See `hosts.base.SessionHost.install_scripts`."""
        return await self.files.install_scripts(directory, scripts)

    async def search_path(self) -> str:
        """See `hosts.base.SessionHost.search_path`."""
        return await self.files.search_path()

    # The task's life.

    async def connect(self) -> None:
        """Nothing to do on this machine."""
        await trio.lowlevel.checkpoint()

    async def disconnect(self) -> None:
        """End what `launch_subprocess` started and `terminate_subprocess` has not ended."""
        await self._launched.end_all()

    async def setup_workdir(self) -> None:
        """Make an empty workdir that only this user can enter. Remove what was there (but see `within`)."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_quickly_made():
            self._make_workdir()
        else:
            with trio.CancelScope(shield=True):
                await self._removals.run(self._make_workdir)
        await trio.lowlevel.checkpoint()
        for directory in self._directories:
            directory.forget()

    async def cleanup_taskdir(self, aggressive: bool) -> None:
        """Remove the task's directory (but see `within`). `aggressive` has no effect on this machine."""
        if self._owned:
            try:
                with trio.CancelScope(shield=True):
                    await self._removals.run(remove_tree, self.taskdir)
            except OSError as error:  # another user's, or a mount point: it never changes how a task ended
                _logger.warning("%s could not be removed completely: %s", self.taskdir, error)

    def archive_workdir(
        self, exclude: list[str] | None, *, on_note: Callable[[str, str], None] | None = None
    ) -> AsyncIterator[bytes]:
        """The workdir as gzipped tar, in pieces; see `hosts.files.archive.archive`."""
        return archive(self.workdir, exclude, self._shell, on_note)

    async def restore_workdir(self, stream: AsyncIterator[bytes]) -> None:
        """Replace the content of the workdir with what `archive_workdir` streamed."""
        with trio.CancelScope(shield=True):
            await self._removals.run(empty_directory, self.workdir)
        await restore(stream, self.workdir)

    # Files.

    async def write_text(self, relpath: str, content: str) -> None:
        """Write a UTF-8 text file in the workdir, in one step, never through a symlink that leads out of it.

        Raises:
            OSError: it cannot be written there (`LeavesDirectory` if the path leads out).
        """
        await self._threads.run(self._write_text, relpath, content)

    async def put_file_to_host(
        self,
        source: Source,
        absolute_target: str,
        *,
        expected_sha256: str | None = None,
        skip_if_unchanged: bool = False,
        progress_cb: ProgressCallback | None = None,
    ) -> None:
        """Write `source` (a path, bytes or an async iterator) to `absolute_target`, in one step.

        A target in the task's directories is never written through a symlink that leads out of them.

        Raises:
            ValueError: `skip_if_unchanged` for an iterator without `expected_sha256`.
            OSError: it cannot be read or written (`LeavesDirectory` if the target leads out).
        """
        if skip_if_unchanged:
            wanted = await source_digest(source, expected_sha256)
            if wanted == await self._target_digest(absolute_target):
                if progress_cb is not None:
                    progress_cb(None, "already up to date")
                return
        async with self._threads.entered(self._paths.replacing(absolute_target)) as descriptor:
            await write_source(source, descriptor)
        if progress_cb is not None:
            progress_cb(100.0, None)

    async def fetch_bytes_from_host(
        self, absolute_path: str, *, progress_cb: ProgressCallback | None = None
    ) -> bytes:
        """The content of a regular file. In the task's directories no symlink is followed out of them.

        Raises:
            OSError: it cannot be read, or is not a regular file.
        """
        pieces = []
        async with self._threads.entered(self._paths.reading(absolute_path)) as descriptor:
            offset = 0
            while piece := await read_piece(descriptor, PIECE, offset, self._threads):
                offset += len(piece)
                pieces.append(piece)
        if progress_cb is not None:
            progress_cb(100.0, None)
        return b"".join(pieces)

    async def remove_file(self, path: str) -> None:
        """Remove a file if it exists.

        Raises:
            OSError: it cannot be removed (`LeavesDirectory` if a symlink on its way leads out of the task's
                directories).
        """
        with suppress(FileNotFoundError):
            await self._threads.run(self._paths.remove, path)

    async def glob(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern, sorted."""
        return await trio.to_thread.run_sync(lambda: sorted(glob.glob(pattern)))

    async def tail_file(self, absolute_path: str) -> AsyncIterator[str]:
        """The lines of a file from its first, and those that will be appended. The iterator never ends on its own."""
        directory, name = os.path.split(absolute_path)
        real = os.path.realpath(directory)  # noqa: ASYNC240 - as quick as opening it
        with open_log_reader(Directory(real), name) as reader:
            while (window := await reader.read()) is not None:
                for line in window.data.split(b"\n")[:-1]:
                    yield line.decode(errors="replace")

    async def resolve_host_home(self) -> str:
        """The user's home directory."""
        await trio.lowlevel.checkpoint()
        return os.path.expanduser("~")  # noqa: ASYNC240 - looks at the environment

    async def establish_tunnel(self, remote_port: int, *, bind_addr: str = "127.0.0.1") -> int:
        """The port itself: this machine reaches it directly."""
        await trio.lowlevel.checkpoint()
        return remote_port

    # Processes.

    async def run_command(
        self, command: str, *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> RunResult:
        """Run a shell command to its end and collect what it prints (decoded with replacement).

        `cwd` is the workdir unless given; `env` replaces the whole environment, `None` inherits ours. Its
        stdin is empty. Cancelling ends it and all that it started: TERM, then KILL.
        What a command leaves running in the background when it exits keeps running.

        Raises:
            OSError: it cannot be started.
        """
        from optio_host.host import RunResult

        completed = await run(["/bin/sh", "-c", command], cwd=cwd or self.workdir, env=env)
        return RunResult(completed.stdout, completed.stderr, completed.code)

    async def launch_subprocess(
        self,
        command: str,
        *,
        env: Mapping[str, str] | None = None,
        env_remove: list[str] | None = None,
        cwd: str | None = None,
        merge_stderr: bool = True,
        stdin: bool = False,
    ) -> ProcessHandle:
        """Start a shell command and return its handle; it lives until `terminate_subprocess` or `disconnect`.

        `env` is added to our environment after the variables that match a pattern of `env_remove` were taken
        out. `pid_like` is a `trio.Process`; `stdin`, if asked for, has `write`, `drain`, `close` and
        `wait_closed`.

        Raises:
            OSError: it cannot be started.
        """
        from optio_host.host import ProcessHandle

        process = await self._launched.launch(
            command,
            cwd=cwd or self.workdir,
            env=env or {},
            env_remove=env_remove or (),
            merge_stderr=merge_stderr,
            stdin=stdin,
        )
        assert process.stdout is not None
        return ProcessHandle(
            pid_like=process,
            stdout=OutputLines(process.stdout),
            stderr=None if process.stderr is None else OutputLines(process.stderr),
            stdin=None if process.stdin is None else InputWriter(process.stdin),
        )

    async def terminate_subprocess(self, handle: ProcessHandle, *, aggressive: bool) -> None:
        """End a launched command and everything it started: TERM, then KILL.

        `aggressive` kills at once. What it printed before may still be read from the handle.
        """
        process: Any = handle.pid_like
        await self._launched.end(process, deadlines=replace(LAUNCHED, term=0) if aggressive else LAUNCHED)

    def _write_text(self, relpath: str, content: str) -> None:
        with self.files.directory.open() as workdir, replacing(workdir, relpath) as descriptor:
            write_all(descriptor, content.encode())

    def _is_quickly_made(self) -> bool:
        """Whether making the workdir is at most two new directories, which take 0.1 ms, where nothing can hang.

        Anything else is a thread's: there may be much to remove, or a file system of an earlier agent's.
        """
        if is_missing(self.taskdir):
            return os.path.dirname(self.workdir) == self.taskdir
        place = Directory(self.taskdir if self._owned else self.workdir)
        try:
            with place.open_now() as descriptor:
                if not is_local(descriptor, place.device):
                    return False
                if self._owned:
                    status_beneath(descriptor, os.path.relpath(self.workdir, self.taskdir))
                return not self._owned
        except FileNotFoundError:
            return self._owned
        except OSError:
            return False

    def _make_workdir(self) -> None:
        os.makedirs(self.taskdir, exist_ok=True)
        if self._owned:
            os.chmod(self.taskdir, 0o700)
            if os.path.lexists(self.workdir):
                (empty_directory if self.workdir == self.taskdir else remove_tree)(self.workdir)
        os.makedirs(self.workdir, mode=0o700, exist_ok=True)

    async def _target_digest(self, path: str) -> str | None:
        try:
            async with self._threads.entered(self._paths.reading(path)) as descriptor:
                return await file_digest(descriptor)
        except FileNotFoundError:
            return None

    async def _shell(self, command: str) -> tuple[int, str]:
        completed = await run(["/bin/sh", "-c", command], cwd=self.workdir)
        return completed.code, completed.stdout
