"""`HookContext`: the argument of a session's body, hooks and callbacks.

Its coroutines only await coroutines of the host, the ctx and the sender. So the same class serves asyncio callers (with
asyncio hosts) and Trio callers (with Trio hosts).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from optio_host import HostCommandError, RunResult, create_download_task

__all__ = [
    "SYSTEM_MESSAGE_PREFIX",
    "AgentSender",
    "HookContext",
    "HookContextProtocol",
    "HostCommandError",
    "RunResult",
    "create_download_task",
]

SYSTEM_MESSAGE_PREFIX = "System: "
"""The prefix of each message from the harness to an agent."""

AgentSender: TypeAlias = Callable[[str], Awaitable[Any]]
"""Puts one message on the agent's input channel; raises when it cannot."""

_BLOB_CHUNK = 256 * 1024

_FROM_OPTIO_HOST = ("HostCommandError", "RunResult", "create_download_task")


def __getattr__(name: str) -> Any:
    # Imported on first use: optio_host brings asyncssh and motor, which a plain Trio session never needs.
    if name in _FROM_OPTIO_HOST:
        import optio_host

        value = getattr(optio_host, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _from_optio_host(name: str) -> Any:
    """The module's present attribute `name`, looked up when it is needed, so that a test can replace it."""
    value = globals().get(name)
    return __getattr__(name) if value is None else value


@runtime_checkable
class HookContextProtocol(Protocol):
    """The surface of `HookContext`, for annotations of callbacks and for test doubles."""

    browser_launch_env: dict[str, str] | None

    @property
    def process_id(self) -> str:
        """The wrapped ctx's own."""

    @property
    def params(self) -> dict[str, Any]:
        """The wrapped ctx's own."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The wrapped ctx's own."""

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        """The wrapped ctx's own method."""

    def should_continue(self) -> bool:
        """The wrapped ctx's own method."""

    async def send_to_agent(self, message: str) -> bool:
        """Send the agent a message."""

    async def run_on_host(
        self, command: str, *, check: bool = True, capture_stderr: bool = False, cwd: str | None = None
    ) -> Any:
        """Run a shell command on the host."""

    async def copy_file(self, source: Any, target: str, *, skip_if_unchanged: bool = False) -> None:
        """Copy something to the host."""

    async def read_from_host(self, path: str, *, silent: bool = False) -> bytes:
        """Read a file of the host."""

    async def read_text_from_host(self, path: str, *, silent: bool = False) -> str:
        """Read a text file of the host."""

    async def download_file(
        self, url: str, target: str, *, description: str | None = None, cleanup_on_fail: bool = True
    ) -> None:
        """Download a URL to the host, as a child task."""


class HookContext:
    """One session's context: the wrapped optio ctx, the host, and ways to reach both and the agent.

    Attributes that it lacks come from the wrapped ctx (`report_progress`, `params`, `should_continue`, ...).

    Args:
        ctx: the process context (optio-core's, or anything with the methods that are used).
        host: the host on which the agent works.
    """

    browser_launch_env: dict[str, str] | None

    def __init__(self, ctx: Any, host: Any) -> None:
        self._ctx = ctx
        self._host = host
        self.browser_launch_env = None
        self._agent_sender: AgentSender | None = None
        self._run_command: Callable[..., Awaitable[Any]] | None = None
        """Runs commands in place of the host's own method."""
        self._host_method: Callable[[Any, str], Any] = getattr
        """Finds a method of the host. A session may replace it with a safer one."""

    def __getattr__(self, name: str) -> Any:
        # Called for missing attributes only. copy and pickle ask an empty instance for dunders and our own fields:
        # these must not be looked up in a ctx that does not exist yet.
        if name.startswith("__") or name in (
            "_ctx",
            "_host",
            "_agent_sender",
            "_run_command",
            "_host_method",
        ):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            return getattr(self._ctx, name)
        except AttributeError:
            raise AttributeError(
                f"neither {type(self).__name__} nor the wrapped {type(self._ctx).__name__} has {name!r}"
            ) from None

    def __repr__(self) -> str:
        return f"<HookContext of {self._ctx!r} on {self._host!r}>"

    # What `HookContextProtocol` names is spelled out: since Python 3.12, `isinstance` does not ask `__getattr__`.

    @property
    def process_id(self) -> str:
        """The wrapped ctx's own."""
        return self._ctx.process_id  # type: ignore[no-any-return]

    @property
    def params(self) -> dict[str, Any]:
        """The wrapped ctx's own."""
        return self._ctx.params  # type: ignore[no-any-return]

    @property
    def metadata(self) -> dict[str, Any]:
        """The wrapped ctx's own."""
        return self._ctx.metadata  # type: ignore[no-any-return]

    def report_progress(self, *args: Any, **options: Any) -> None:
        """The wrapped ctx's own method."""
        self._ctx.report_progress(*args, **options)

    def should_continue(self) -> bool:
        """The wrapped ctx's own method."""
        return self._ctx.should_continue()  # type: ignore[no-any-return]

    async def send_to_agent(self, message: str) -> bool:
        """Put `System: <message>` on the agent's input channel.

        Returns whether that worked. If there is no channel or the agent is gone, the progress reports it and the
        result is `False`, without an exception.
        """
        sender = self._agent_sender
        if sender is None:
            self._ctx.report_progress(None, "There is no channel to the agent: a message was dropped")
            return False
        try:
            await sender(SYSTEM_MESSAGE_PREFIX + message)
        except Exception as error:  # noqa: BLE001 - any exception of the sender means: not delivered
            self._ctx.report_progress(None, f"send_to_agent failed: {error!r}")
            return False
        return True

    async def run_on_host(
        self, command: str, *, check: bool = True, capture_stderr: bool = False, cwd: str | None = None
    ) -> Any:
        """Run `command` with the host's shell.

        Args:
            command: a `/bin/sh` command line.
            check: raise on a non-zero exit. `False`: return the `RunResult` for any exit code.
            capture_stderr: standard error is part of the returned text, after standard output. (A `RunResult` has
                both anyway.)
            cwd: the directory in which it runs, the workdir by default.

        Returns:
            Standard output as text, or the `RunResult`.

        Raises:
            HostCommandError: the exit code is not zero (and `check` is true).
        """
        run = self._run_command or self._host_method(self._host, "run_command")
        result = await run(command, cwd=cwd)
        if not check:
            return result
        if result.exit_code != 0:
            failure = _from_optio_host("HostCommandError")
            raise failure(command, result.exit_code, result.stdout, result.stderr)
        return result.stdout + result.stderr if capture_stderr else result.stdout

    async def copy_file(
        self,
        source: str | os.PathLike[str] | bytes | AsyncIterator[bytes] | Any,
        target: str,
        *,
        skip_if_unchanged: bool = False,
    ) -> None:
        """Copy `source` to `target` on the host, by way of a temporary name.

        Args:
            source: a local path, bytes, an async iterator of bytes, or the `ObjectId` of a stored blob.
            target: absolute, `~/...` of the host's user, or relative to the workdir (without `..`).
            skip_if_unchanged: compare digests first and copy only on a difference (not for iterators).

        Raises:
            ValueError: `target` is empty or has `..` in a relative path.
            TypeError: `source` has another type.
        """
        path = await self._resolve(target)
        name = os.path.basename(path)
        _check_source(source)

        def progress(percent: float | None, message: str | None = None) -> None:
            self._ctx.report_progress(percent, message and f"{message[:1].upper()}{message[1:]}: {name}")

        self._ctx.report_progress(None, f"{'Verifying' if skip_if_unchanged else 'Copying'} {name}...")
        if not _is_blob(source):
            await self._host_method(self._host, "put_file_to_host")(
                source, path, skip_if_unchanged=skip_if_unchanged, progress_cb=progress
            )
            return
        async with aclosing(self._blob_chunks(source)) as chunks:
            await self._host_method(self._host, "put_file_to_host")(
                chunks,
                path,
                expected_sha256=await self._blob_digest(source) if skip_if_unchanged else None,
                skip_if_unchanged=skip_if_unchanged,
                progress_cb=progress,
            )

    async def read_from_host(self, path: str, *, silent: bool = False) -> bytes:
        """Read the whole file `path` (resolved like a target of `copy_file`).

        Args:
            path: absolute, `~/...`, or relative to the workdir.
            silent: do not name the file in the progress.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        absolute = await self._resolve(path)
        if not silent:
            self._ctx.report_progress(None, f"Reading {os.path.basename(absolute)}...")
        data: bytes = await self._host_method(self._host, "fetch_bytes_from_host")(
            absolute, progress_cb=lambda percent, message=None: self._ctx.report_progress(percent, message)
        )
        return data

    async def read_text_from_host(self, path: str, *, silent: bool = False) -> str:
        """`read_from_host`, decoded as UTF-8.

        Raises:
            UnicodeDecodeError: it is not UTF-8.
        """
        return (await self.read_from_host(path, silent=silent)).decode("utf-8")

    async def download_file(
        self, url: str, target: str, *, description: str | None = None, cleanup_on_fail: bool = True
    ) -> None:
        """Download `url` to `target` on the host, as a child task of the process.

        Args:
            url: http or https.
            target: resolved like a target of `copy_file`.
            description: shown for the child.
            cleanup_on_fail: remove a partial file.
        """
        path = await self._resolve(target)
        order = self._ctx._child_counter.get("next", 0)
        task = _from_optio_host("create_download_task")(
            process_id=f"{self._ctx.process_id}.download-{order}",
            name=f"download {os.path.basename(path)}",
            url=url,
            target=path,
            host=self._host,
            description=description,
            cleanup_on_fail=cleanup_on_fail,
        )
        await self._ctx.run_child_task(task)

    async def _blob_chunks(self, file_id: Any) -> AsyncGenerator[bytes, None]:
        """A stored blob, piece by piece: only one is in memory."""
        async with self._ctx.load_blob(file_id) as reader:
            while True:
                chunk: bytes = await reader.read(_BLOB_CHUNK)
                if chunk:
                    yield chunk
                if len(chunk) < _BLOB_CHUNK:
                    return

    async def _blob_digest(self, file_id: Any) -> str:
        digest = hashlib.sha256()
        async with aclosing(self._blob_chunks(file_id)) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
        return digest.hexdigest()

    async def _resolve(self, target: str) -> str:
        home = await self._host.resolve_host_home() if target == "~" or target.startswith("~/") else ""
        return _resolve_target_path(target, self._host.workdir, home)


def _is_blob(source: Any) -> bool:
    return type(source).__name__ == "ObjectId"  # avoids importing bson, which defines it


def _check_source(source: Any) -> None:
    if not (
        isinstance(source, (bytes, bytearray, str, os.PathLike))
        or hasattr(source, "__aiter__")
        or _is_blob(source)
    ):
        raise TypeError(
            "copy_file takes a path, bytes, an async iterator of bytes or a blob's ObjectId, "
            f"not {type(source).__name__}"
        )


def _resolve_target_path(path: str, workdir: str, host_home: str) -> str:
    """Resolve `path` on the host: absolute unchanged, `~/` in the user's home, else beneath the workdir.

    Raises:
        ValueError: it is empty, contains a NUL, or is relative with `..` in it.
    """
    if not path:
        raise ValueError("the path is empty: name a file, absolute, with ~/ or relative to the workdir")
    if "\0" in path:
        raise ValueError("the path contains a NUL character")
    if path == "~":
        return host_home
    if path.startswith("~/"):
        return os.path.join(host_home, path[2:].lstrip("/"))
    if path.startswith("/"):
        return path
    if ".." in path.split("/"):
        raise ValueError(f"a path relative to the workdir may not contain '..': {path!r}")
    return os.path.join(workdir, path)
