"""Where `run --ssh` goes: `[USER@]HOST[:PORT]` and a private key, checked before anything is connected."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path

from optio_agents.cli.exit_codes import UsageError

DEFAULT_PORT = 22
_LAST_PORT = 65535

DEFAULT_KEYS = ("id_ed25519", "id_rsa")
"""Looked for in `~/.ssh`, in this order."""


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A user's account on a host, and the key that opens it."""

    user: str
    host: str
    port: int
    identity: Path
    """The file of the private key."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" + ("" if self.port == DEFAULT_PORT else f":{self.port}")


def parse_target(text: str, identity: Path | None) -> SshTarget:
    """Read `[USER@]HOST[:PORT]`; an IPv6 address stands in brackets. The user is by default the one who runs us.

    Raises:
        UsageError: it is no such text, or there is no key that can be read.
    """
    user, at, place = text.rpartition("@")
    if at and not user:
        raise UsageError(f"no user before the @: {text!r}")
    host, port = _host_and_port(place, text)
    return SshTarget(user or getpass.getuser(), host, port, find_identity(identity))


def find_identity(named: Path | None) -> Path:
    """The private key: the one that was named, else the first of `DEFAULT_KEYS` that there is.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    directory = Path.home() / ".ssh"
    candidates = [named] if named is not None else [directory / name for name in DEFAULT_KEYS]
    for path in candidates:
        if path.is_file():
            if not os.access(path, os.R_OK):
                raise UsageError(f"the key {path} cannot be read")
            return path.absolute()
    if named is not None:
        raise UsageError(f"there is no key {named}")
    raise UsageError(
        f"no SSH key: {directory} has none of {', '.join(DEFAULT_KEYS)}; name one with --identity"
    )


def _host_and_port(place: str, text: str) -> tuple[str, int]:
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise UsageError(f"not [USER@]HOST[:PORT]: {text!r}")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = place.partition(":")
        if ":" in port:
            raise UsageError(f"an IPv6 address stands in brackets, as in [::1]:22: {text!r}")
    if not host or any(character.isspace() for character in host):
        raise UsageError(f"no host: {text!r}")
    if not colon:
        return host, DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT):
        raise UsageError(f"not a port: {port!r}")
    return host, int(port)
