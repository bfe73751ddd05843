"""The target of `run --ssh`: `[USER@]HOST[:PORT]` or `ssh://...`, and a private key, checked before connecting."""

from __future__ import annotations

import os
from pathlib import Path

from optio_agents.cli.exit_codes import UsageError
from optio_agents.hosts.ssh.settings import HostKeyPolicy, SshSettings

_LAST_PORT = 65535
_SCHEME = "ssh://"


def parse_target(
    text: str, identity: Path | None = None, host_keys: HostKeyPolicy | None = None
) -> SshSettings:
    """Read `[ssh://][USER@]HOST[:PORT]`; write an IPv6 address in brackets: [::1]:22.

    A user, port or key that is not given comes from ~/.ssh/config, or is OpenSSH's default.

    Raises:
        UsageError: it cannot be parsed, or the key or the file of known hosts cannot be read.
    """
    place = text
    if text.startswith(_SCHEME):
        place = text.removeprefix(_SCHEME).removesuffix("/")
        if "/" in place:
            raise UsageError(f"a directory cannot be given with --ssh: {text!r}")
    elif "://" in text:
        raise UsageError(f"not ssh://[USER@]HOST[:PORT]: {text!r}")
    user, at, place = place.rpartition("@")
    if at and not user:
        raise UsageError(f"no user before the @: {text!r}")
    host, port = _host_and_port(place, text)
    return SshSettings(host, user or None, port, check_identity(identity), check_host_keys(host_keys))


def check_identity(identity: Path | None) -> Path | None:
    """The absolute path of the given private key.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    if identity is None:
        return None
    if not identity.is_file():
        raise UsageError(f"there is no key {identity}")
    if not os.access(identity, os.R_OK):
        raise UsageError(f"the key {identity} cannot be read")
    return identity.absolute()


def check_host_keys(policy: HostKeyPolicy | None) -> HostKeyPolicy:
    """The checked policy.

    Raises:
        UsageError: its file does not exist or cannot be read. With `accept_new` it may be missing.
    """
    if policy is None or policy.known_hosts is None:
        return policy or HostKeyPolicy()
    file = policy.known_hosts.absolute()
    if not file.is_file() and not (policy.accept_new and file.parent.is_dir() and not file.exists()):
        raise UsageError(f"there is no file of known hosts {policy.known_hosts}")
    if file.exists() and not os.access(file, os.R_OK):
        raise UsageError(f"the file of known hosts {policy.known_hosts} cannot be read")
    return HostKeyPolicy(file, policy.accept_new)


def _host_and_port(place: str, text: str) -> tuple[str, int | None]:
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise UsageError(f"not [USER@]HOST[:PORT]: {text!r}")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = place.partition(":")
        if ":" in port:
            raise UsageError(f"write an IPv6 address in brackets, as in [::1]:22: {text!r}")
    if not host or host.startswith("-") or not host.isprintable() or any(map(str.isspace, host)):
        raise UsageError(f"no host: {text!r}")
    if not colon:
        return host, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT):
        raise UsageError(f"not a port: {port!r}")
    return host, int(port)
