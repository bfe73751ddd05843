"""Where to connect, as whom, and what to trust: values, no I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

DEFAULT_PORT = 22

ORPHAN_GRACE = 300.0
"""Seconds for which a guard keeps an agent without a connection."""

Ask: TypeAlias = Callable[[str], Awaitable[str | None]]
"""Asks the user a question whose answer is secret (a password, a code). `None`: there is no answer."""


@dataclass(frozen=True, slots=True)
class HostKeyPolicy:
    """Which host keys are accepted.

    Attributes:
        known_hosts: the file to use; `None`: those of ~/.ssh/config, by default ~/.ssh/known_hosts, and the system's.
        accept_new: add the key of a host that no file names. A key that differs from the known one is always refused.
    """

    known_hosts: Path | None = None
    accept_new: bool = False


@dataclass(frozen=True, slots=True)
class SshSettings:
    """One account on one host. What is `None` comes from ~/.ssh/config, and then from OpenSSH's defaults.

    Attributes:
        host: a name, an address, or a `Host` of ~/.ssh/config.
        user: the account.
        port: the TCP port.
        identity: the private key to use; `None`: the keys of the configuration or the default ones. The keys of a
            running ssh-agent are used in both cases.
        host_keys: which host keys are accepted.
    """

    host: str
    user: str | None = None
    port: int | None = None
    identity: Path | None = None
    host_keys: HostKeyPolicy = HostKeyPolicy()

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "" if self.user is None else f"{self.user}@"
        return f"{user}{host}" + ("" if self.port in (None, DEFAULT_PORT) else f":{self.port}")
