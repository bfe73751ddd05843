"""Any host as a session's host."""

from __future__ import annotations

import sys
from typing import Any, cast

from optio_agents.bridge.boundary import Boundary
from optio_agents.hosts.base import SessionHost
from optio_agents.hosts.foreign import ForeignHost
from optio_agents.hosts.kinds import is_optio_remote
from optio_agents.hosts.optio_local import OptioLocalHost
from optio_agents.hosts.remote import RemoteSessionHost

_FILE_METHODS = ("tail_file", "fetch_bytes_from_host")
"""Methods that we bypass on hosts that we know. A subclass that overrides one is called through it."""


def adapt_host(host: Any, boundary: Boundary) -> SessionHost:
    """Return `host` as what a session needs.

    A host that is a `SessionHost` already is returned as it is. optio-host's `LocalHost` and `RemoteHost` are
    recognised, also in subclasses, unless a subclass overrides how files are read. Every other host is used through
    the methods that it has (see `ForeignHost`). This does not import optio-host.
    """
    if hasattr(host, "open_log"):
        return cast(SessionHost, host)
    optio_host = sys.modules.get("optio_host.host")
    if optio_host is not None:
        if _is_plain(host, optio_host.LocalHost):
            return OptioLocalHost(host, boundary)
        if _is_plain(host, optio_host.RemoteHost):
            return RemoteSessionHost(host, boundary)
    return ForeignHost(host, boundary)


async def run_repeatable(host: Any, command: str) -> Any:
    """Run a command of ours on one of optio-host's hosts, in `/`; over SSH again, if the connection is lost meanwhile.

    Raises:
        OSError: no connection can be made, or it was lost again and again.
    """
    optio_host = sys.modules.get("optio_host.host")
    if optio_host is not None and isinstance(host, optio_host.RemoteHost):
        from optio_agents.hosts.ssh.remote_host import channels_of, repeat_command

        return await repeat_command(channels_of(host), command, cwd="/")
    return await host.run_command(command, cwd="/")


def _is_plain(host: Any, known: type) -> bool:
    return isinstance(host, known) and all(
        getattr(type(host), name) is getattr(known, name) and name not in vars(host) for name in _FILE_METHODS
    )


def command_runner(host: Any) -> Any:
    """How `hook_ctx.run_on_host` runs a command on `host`: the host's own `run_command`, unless that is optio-host's
    over SSH, which waits for what a command leaves in the background, for an end of input that does not come, and fails
    when the server takes no more sessions on one connection.
    """
    if not is_optio_remote(host, "run_command"):
        return None
    from optio_agents.hosts.ssh.remote_host import channels_of, run_command

    async def run(command: str, *, cwd: str | None = None) -> Any:
        return await run_command(channels_of(host), command, cwd=host.workdir if cwd is None else cwd)

    return run
