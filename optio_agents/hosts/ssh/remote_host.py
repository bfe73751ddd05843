"""optio-host's `RemoteHost` over our own connections.

They check host keys, use the SSH configuration and ssh-agent, frame each command, and respect the server's limits.
optio-host has no public way to give it a connection, so this module, and no other, sets its attributes.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import asyncssh
from optio_host.host import ProcessHandle, RemoteHost, RunResult
from optio_host.types import SSHConfig

from optio_agents.hosts import shell
from optio_agents.hosts.processes.process_tree import MARKER_VARIABLE
from optio_agents.hosts.ssh.channels import Channels
from optio_agents.hosts.ssh.connecting import connect
from optio_agents.hosts.ssh.errors import HostFailed
from optio_agents.hosts.ssh.framing import excerpt
from optio_agents.hosts.ssh.guarded import GuardedProcess, OrphanPolicy, end_leftovers
from optio_agents.hosts.ssh.settings import DEFAULT_PORT, Ask, HostKeyPolicy, SshSettings

_ADOPTED = ("_conn", "_sftp", "_ssh", "_compressor", "_tar_version")
"""Attributes of `RemoteHost` that are read or set here."""


class TrustedRemoteHost(RemoteHost):  # type: ignore[misc]
    """A `RemoteHost` that connects as `settings` say.

    Args:
        settings: where to, as whom, and which host keys are accepted.
        taskdir: as in `RemoteHost`.
        ask: see `connecting.connect`.
        orphan_policy: what happens to a launched program if no client reconnects.
    """

    _conn: Any

    def __init__(
        self,
        settings: SshSettings,
        taskdir: str,
        ask: Ask | None = None,
        orphan_policy: OrphanPolicy | None = None,
    ) -> None:
        key = "" if settings.identity is None else str(settings.identity)
        super().__init__(
            SSHConfig(settings.host, settings.user or "", key, settings.port or DEFAULT_PORT), taskdir
        )
        _check_attributes(self)
        self.settings = settings
        self.orphan_policy = orphan_policy or OrphanPolicy()
        self.channels = Channels(lambda: connect(settings, ask), str(settings))

    async def connect(self) -> None:
        """Connect and log in.

        Raises:
            CannotConnect: see `connecting.connect`.
        """
        await self.channels.connect()
        self._conn = _FramedConnection(self.channels)
        self._compressor = self._tar_version = None

    async def disconnect(self) -> None:
        """Close what is open."""
        self._conn = self._sftp = None
        await self.channels.close()

    async def setup_workdir(self) -> None:
        """Make a fresh workdir in a task directory that is ours alone.

        Raises:
            HostFailed: it cannot be made, or the directory belongs to another user.
        """
        await self._run(shell.make_workdir(self.taskdir), f"mkdir {self.workdir}")

    async def cleanup_taskdir(self, aggressive: bool) -> None:
        """Remove the task directory, read-only files included.

        Raises:
            HostFailed: some of it is left.
        """
        await self._run(shell.remove_directory(self.taskdir), f"rm -rf {self.taskdir}")

    async def run_command(
        self, command: str, *, cwd: str | None = None, env: dict[str, str] | None = None
    ) -> RunResult:
        """Run a `/bin/sh` command line to its end, with an empty standard input; see `Channels.run`."""
        return await run_command(self.channels, command, cwd=self.workdir if cwd is None else cwd, env=env)

    async def launch_subprocess(
        self,
        command: str,
        *,
        env: dict[str, str] | None = None,
        env_remove: list[str] | None = None,
        cwd: str | None = None,
        merge_stderr: bool = True,
        stdin: bool = False,
    ) -> ProcessHandle:
        """See `RemoteHost.launch_subprocess`. With `merge_stderr` the program runs under a guard (see `guarded`)."""
        if not merge_stderr:
            return await super().launch_subprocess(
                command, env=env, env_remove=env_remove, cwd=cwd, merge_stderr=merge_stderr, stdin=stdin
            )
        variables = dict(env or {})
        mark = (MARKER_VARIABLE, variables.pop(MARKER_VARIABLE, "") or secrets.token_hex(12))
        process = GuardedProcess(self.channels, self.taskdir, self.orphan_policy)
        await process.start(
            command,
            cwd=self.workdir if cwd is None else cwd,
            env=variables,
            without=env_remove or (),
            mark=mark,
        )
        if not stdin:
            process.write_eof()
        return ProcessHandle(
            pid_like=process, stdout=aiter(process), stderr=None, stdin=process if stdin else None
        )

    async def terminate_subprocess(self, handle: ProcessHandle, *, aggressive: bool) -> None:
        """End a launched program with all that it started: TERM and then KILL."""
        if isinstance(handle.pid_like, GuardedProcess):
            await handle.pid_like.end(0.1 if aggressive else 5.0)
        else:
            await super().terminate_subprocess(handle, aggressive=aggressive)

    async def end_leftovers(self, variable: str, value: str, seconds: float) -> None:
        """End what earlier programs in the task's directory have left: processes with the mark, and their guards."""
        userland = await self.channels.userland()
        script = end_leftovers(self.taskdir, userland, variable, value, seconds)
        await self.channels.repeat(script, "end leftovers")

    async def write_text(self, relpath: str, content: str) -> None:
        """See `RemoteHost.write_text`."""
        if self._sftp is None:
            self._sftp = await self.channels.start_sftp_client()
        await super().write_text(relpath, content)

    async def _run(self, script: str, label: str) -> None:
        status, _, errors = await self.channels.repeat(script, label)
        if status:
            raise HostFailed(excerpt(errors) or f"exit status {status}")


async def run_command(
    channels: Channels, command: str, *, cwd: str | None, env: dict[str, str] | None = None
) -> RunResult:
    """Run a command line over `channels`, with optio-host's type of result."""
    return _result(await channels.run(command, cwd=cwd, env=env))


async def repeat_command(channels: Channels, command: str, *, cwd: str) -> RunResult:
    """The same for a command that may be run again when the connection is lost, see `Channels.repeat`."""
    return _result(await channels.repeat(command, "run", cwd=cwd))


def _result(ended: tuple[int, bytes, bytes]) -> RunResult:
    status, output, errors = ended
    return RunResult(
        stdout=output.decode("utf-8", "replace"), stderr=errors.decode("utf-8", "replace"), exit_code=status
    )


class _FramedConnection:
    """What `RemoteHost` uses of an asyncssh connection, over channels."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def create_process(self, command: str, *, encoding: str | None = "utf-8") -> Any:
        if encoding is not None:  # `tail_file`, which wants lines of text
            return await self._channels.connection.create_process(command, encoding=encoding)
        return await self._channels.open(command, "task")

    async def run(self, command: str, *, check: bool = False, errors: str = "replace") -> Any:
        status, output, stderr_excerpt = await self._channels.run(command)
        if check and status:
            raise HostFailed(excerpt(stderr_excerpt) or f"exit status {status}")
        return SimpleNamespace(
            exit_status=status,
            stdout=output.decode("utf-8", errors),
            stderr=stderr_excerpt.decode("utf-8", errors),
        )

    async def start_sftp_client(self) -> asyncssh.SFTPClient:
        return await self._channels.start_sftp_client()

    async def forward_local_port(self, *arguments: Any) -> Any:
        await self._channels.connect()
        return await self._channels.connection.forward_local_port(*arguments)

    def is_closed(self) -> bool:
        return self._channels.connection is None


_channels: WeakKeyDictionary[Any, tuple[Any, Channels]] = WeakKeyDictionary()
"""For optio-host's own remote hosts: the connection that they had, and the channels over it."""


def channels_of(host: Any) -> Channels:
    """The channels to a `RemoteHost`. Ours has its own; those to one of optio-host begin with its connection.

    Connections that are added to the latter accept only the key that the host has shown on the first one.
    """
    if isinstance(host, TrustedRemoteHost):
        return host.channels
    known = _channels.get(host)
    if known is None or (host._conn is not None and known[0] is not host._conn):
        _check_attributes(host)
        channels = Channels(_again(host), str(host._ssh.host), first=host._conn)
        known = _channels[host] = (host._conn, channels)
    return known[1]


def _again(host: Any) -> Callable[[], Awaitable[Any]]:
    first, config = host._conn, host._ssh
    key = None if first is None else first.get_server_host_key()

    async def make() -> Any:
        return await asyncssh.connect(
            host=config.host,
            username=config.user,
            port=config.port,
            client_keys=[config.key_path],
            known_hosts=None if key is None else ([key], [], []),
            keepalive_interval=15,
        )

    return make


def _check_attributes(host: Any) -> None:
    missing = [name for name in _ADOPTED if name not in vars(host)]
    if missing:
        raise RuntimeError(
            f"this version of optio-host cannot be given a connection: RemoteHost has no {', '.join(missing)}; "
            "install the version that optio-agents was tested with"
        )


def trusted_settings(config: SSHConfig, host_keys: HostKeyPolicy) -> SshSettings:
    """The settings of an `SSHConfig`, with a policy for host keys. No user or key means the configured ones."""
    identity = Path(config.key_path).expanduser() if config.key_path else None
    return SshSettings(config.host, config.user or None, config.port, identity, host_keys)
