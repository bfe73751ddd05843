"""optio-host's `RemoteHost` on a test's own sshd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import optio_host.host
from optio_host.types import SSHConfig

from tests.support.servers import Ssh


def ssh_config(ssh: Ssh) -> SSHConfig:
    """How to get in."""
    return SSHConfig(host=ssh.host, user=ssh.user, key_path=str(ssh.key), port=ssh.port)


def ssh_host(ssh: Ssh, taskdir: Path) -> Any:
    """A host that is not connected yet."""
    return optio_host.host.RemoteHost(ssh_config(ssh), str(taskdir))


@asynccontextmanager
async def connected(host: Any) -> AsyncIterator[Any]:
    """Connect a host for a block."""
    if hasattr(host, "connect"):
        await host.connect()
    try:
        yield host
    finally:
        await host.disconnect()
