"""The host's key against known_hosts: known, unknown, or changed.

asyncssh looks up a key in the files that it gets, and calls `HostKeyCheck.accept` for each key that it does not find
there. The files are those of OpenSSH, in the format of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from optio_agents.hosts.ssh.settings import DEFAULT_PORT, HostKeyPolicy

SYSTEM_FILE = Path("/etc/ssh/ssh_known_hosts")


class HostKeyCheck:
    """The decision about one connection's host key.

    Args:
        policy: see `HostKeyPolicy`.
        configured: the files that ~/.ssh/config names; empty: none.

    Attributes:
        refusal: why the key was refused, and what to do about that.
    """

    def __init__(self, policy: HostKeyPolicy, configured: Sequence[str]) -> None:
        self._policy = policy
        if policy.known_hosts is not None:
            self._files = [policy.known_hosts]
        elif configured:
            self._files = [Path(name).expanduser() for name in configured]
        else:
            self._files = [Path("~/.ssh/known_hosts").expanduser(), SYSTEM_FILE]
        self.refusal: str | None = None

    def readable_files(self) -> list[str]:
        """The files that exist, in the form that asyncssh takes."""
        return [str(path) for path in self._files if path.is_file() and os.access(path, os.R_OK)]

    def accept(self, host: str, address: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether to accept a key that no file has for this host. A new one is written to the file first."""
        name = host if port == DEFAULT_PORT else f"[{host}]:{port}"
        shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
        if files := self._files_that_know(name):
            self.refusal = (
                f"the host key of {name} has changed: it shows {shown}, which is not the key in {', '.join(files)}. "
                "The connection may be intercepted. If the host was reinstalled, remove its old key with: "
                f"ssh-keygen -f {files[0]} -R '{name}'"
            )
        elif not self._policy.accept_new:
            self.refusal = (
                f"the host key of {name} is unknown: it shows {shown}. Compare it with the host's own, then add it "
                f"to {self._files[0]} (connect once with ssh), or use --accept-new-host-key"
            )
        else:
            self.refusal = self._write_down(name, key)
        return self.refusal is None

    def _files_that_know(self, name: str) -> list[str]:
        """The files that have any key for exactly this name and port."""
        # The port is a part of the name here: asyncssh would look for the host without it as well.
        return [
            path for path in self.readable_files() if any(asyncssh.match_known_hosts(path, name, "", None))
        ]

    def _write_down(self, name: str, key: asyncssh.SSHKey) -> str | None:
        file = self._files[0]
        algorithm, data = key.export_public_key("openssh").decode().split()[:2]
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with open(descriptor, "rb+", buffering=0) as out:
                size = out.seek(0, os.SEEK_END)
                ended = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
                out.write(("" if ended else "\n").encode() + f"{name} {algorithm} {data}\n".encode())
        except OSError as error:
            return f"the new host key of {name} cannot be added to {file}: {error.strerror}"
        return None
