"""Agents on remote hosts as tasks, awaited without optio: a thin ctx, and hosts whose other side is bent."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optio_agents.hosts.ssh.remote_host import TrustedRemoteHost
from optio_agents.hosts.ssh.settings import HostKeyPolicy, SshSettings
from optio_agents.task import create_agent_task
from tests.support.servers import Ssh, running_sshd
from tests.support.ssh_host import ssh_config

HANG = 90.0
"""Seconds; only a hang takes that long."""

AGENT = """
echo 'STATUS: 40% half way' >> optio.log
mkdir -p deliverables/sub; printf 'the content' > deliverables/sub/report.txt
echo 'DELIVERABLE: deliverables/sub/report.txt' >> optio.log
read -r reply; echo "STATUS: 60% heard $reply" >> optio.log; echo 'DONE: all of it' >> optio.log
"""
"""A session with a deliverable, whose reply it waits for."""


class Ctx:
    """A thin process context that keeps what is reported."""

    resume = False
    process_id = "test"

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.said: list[str] = []
        self.cancellation_flag = asyncio.Event()
        self._changed = asyncio.Event()

    def report_progress(self, percent: float | None, message: str | None = None, **_: Any) -> None:
        """Keep it."""
        if message:
            self.said.append(message)
            self._changed.set()

    def should_continue(self) -> bool:
        """As optio's."""
        return not self.cancellation_flag.is_set()

    async def until_said(self, text: str) -> None:
        """Wait until something with this text was reported."""
        async with asyncio.timeout(HANG):
            while not any(text in each for each in self.said):
                self._changed.clear()
                await self._changed.wait()


class Delivered(dict[str, bytes]):
    """Takes deliverables."""

    async def __call__(self, hook_context: Any, file: Any) -> None:
        self[file.path] = await file.read()


def remote_task(ssh: Ssh, taskdir: Path, command: str, **options: Any) -> Any:
    """A task that needs no database."""
    options = {"on_deliverable_file": Delivered(), "supports_resume": False, **options}
    return create_agent_task(
        "test",
        "Test",
        command=command,
        ssh=ssh_config(ssh),
        known_hosts=ssh.known_hosts,
        taskdir=str(taskdir),
        **options,
    )


def trusted_host(ssh: Ssh, taskdir: Path) -> TrustedRemoteHost:
    """A host that is not connected yet."""
    settings = SshSettings(ssh.host, ssh.user, ssh.port, ssh.key, HostKeyPolicy(ssh.known_hosts))
    return TrustedRemoteHost(settings, str(taskdir))


async def soon(condition: Any, seconds: float = HANG) -> None:
    """Wait for something on the host that nothing tells us of."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def run(program: Awaitable[Any]) -> Any:
    """Run it under asyncio, within `HANG`."""

    async def main() -> Any:
        async with asyncio.timeout(HANG):
            return await program

    return asyncio.run(main())


def processes(text: str) -> list[str]:
    """The command lines and directories in which `text` stands, of what runs on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if (text in line or text in os.readlink(path / "cwd")) and int(path.name) != os.getpid():
                found.append(f"{path.name}: {line[:200]}")
    return found


def still_running(text: str, seconds: float = 30.0) -> list[str]:
    """What `processes` finds once each of them has had so many seconds to end. Waits for ends, it does not poll."""
    deadline = time.monotonic() + seconds
    while (found := processes(text)) and time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(int(found[0].partition(":")[0]))
            try:
                select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            finally:
                os.close(descriptor)
    return found


class BentHost:
    """An sshd whose login shell is a script of the test's."""

    def __init__(self, ssh: Ssh, directory: Path) -> None:
        self.ssh = ssh
        self._login = directory / "login"

    def bend(self, login: str) -> None:
        """From now on each command is run by this script; the command is in $SSH_ORIGINAL_COMMAND."""
        text = (
            f"#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in internal-sftp) exec {sftp_server()};; esac\n{login}\n"
        )
        new = self._login.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o755)
        new.rename(self._login)


@contextmanager
def bent_host(directory: Path, *settings: str) -> Iterator[BentHost]:
    """Run one."""
    with running_sshd(directory, *settings, f"ForceCommand {directory}/login") as ssh:
        host = BentHost(ssh, directory)
        host.bend(PLAIN)
        yield host


PLAIN = 'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
"""A login shell as it should be."""


def sftp_server() -> str:
    """The program for SFTP, where a command is forced."""
    places = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
    return next(filter(os.path.exists, places), "false")
