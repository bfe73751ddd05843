"""optio-host's `RemoteHost` over a connection of ours: host keys checked, configuration and ssh-agent honoured.

optio-host offers no way to hand it a connection, so its attributes are set here, and only here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh
from optio_host.host import RemoteHost
from optio_host.types import SSHConfig

from optio_agents.hosts.ssh.connecting import connect
from optio_agents.hosts.ssh.settings import DEFAULT_PORT, Ask, HostKeyPolicy, SshSettings

_ADOPTED = ("_conn", "_sftp", "_compressor", "_tar_version")
"""Attributes of `RemoteHost` that its own `connect` sets."""


class TrustedRemoteHost(RemoteHost):  # type: ignore[misc]
    """A `RemoteHost` that connects as `settings` say.

    Args:
        settings: where to, as whom, and which host keys are accepted.
        taskdir: as in `RemoteHost`.
        ask: see `connecting.connect`.
    """

    def __init__(self, settings: SshSettings, taskdir: str, ask: Ask | None = None) -> None:
        key = "" if settings.identity is None else str(settings.identity)
        super().__init__(
            SSHConfig(settings.host, settings.user or "", key, settings.port or DEFAULT_PORT), taskdir
        )
        missing = [name for name in _ADOPTED if name not in vars(self)]
        if missing:
            raise RuntimeError(
                f"this version of optio-host cannot be given a connection: RemoteHost has no {', '.join(missing)}; "
                "use the version that optio-agents was tested with"
            )
        self.settings = settings
        self._ask = ask

    async def connect(self) -> None:
        """Connect and log in.

        Raises:
            CannotConnect: see `connecting.connect`.
        """
        self._adopt(await connect(self.settings, self._ask))

    def _adopt(self, connection: Any) -> None:
        self._conn, self._sftp = connection, None
        self._compressor = self._tar_version = None

    async def write_text(self, relpath: str, content: str) -> None:
        """See `RemoteHost.write_text`."""
        await self._need_sftp()
        await super().write_text(relpath, content)

    async def setup_workdir(self) -> None:
        """See `RemoteHost.setup_workdir`."""
        await self._need_sftp()
        await super().setup_workdir()

    async def _need_sftp(self) -> None:
        """Open the SFTP session that optio-host opens when it connects; a host without SFTP does for all the rest.

        Raises:
            OSError: the host has no SFTP.
        """
        if self._sftp is None:
            try:
                self._sftp = await self._conn.start_sftp_client()
            except asyncssh.Error as error:
                raise OSError(f"the host's SSH server has no SFTP: {error}") from error


def trusted_settings(config: SSHConfig, host_keys: HostKeyPolicy) -> SshSettings:
    """optio-host's `SSHConfig` with a policy for host keys. No user or key means the configured ones."""
    identity = Path(config.key_path).expanduser() if config.key_path else None
    return SshSettings(config.host, config.user or None, config.port, identity, host_keys)
