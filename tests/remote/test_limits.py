"""Hosts that lie, and task directories that another user made: limits and checks are on our side."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from optio_agents.hosts import remote_deliverable
from optio_agents.hosts.base import LOG_START, LogLost
from optio_agents.hosts.log.remote_reader import RemoteLogReader
from optio_agents.hosts.remote_deliverable import RemoteDeliverable
from optio_agents.hosts.ssh.errors import HostFailed
from tests.support.remote_task import run, trusted_host
from tests.support.servers import Ssh
from tests.support.ssh_host import connected


class Said:
    """A host's process that says something, again and again."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._last = pieces[-1]
        self.received = 0

    @asynccontextmanager
    async def start(self, program: str, label: str) -> AsyncIterator[Said]:
        yield self

    async def receive(self, limit: int = 1 << 18) -> bytes:
        piece = next(self._pieces, self._last)
        self.received += len(piece)
        assert self.received < 4 << 20, "the output is not limited"
        return piece

    async def stderr_excerpt(self) -> str:
        return ""

    async def status(self) -> int | None:
        return 0

    def nothing_more_will_be_written(self) -> None:
        pass


@pytest.mark.parametrize(
    "record",
    [b"D\xff\xff\xff\xff", b"D\x00\x04\x00\x01", b"X\x7f\x00\x00\x00"],
    ids=["4 GiB", "256 KiB + 1", "X"],
)
async def test_a_record_that_is_too_long_is_refused_by_its_header(record: bytes) -> None:
    channel: Any = Said(b"P" + record, b"x" * 65536)
    reader = RemoteLogReader(channel, LOG_START, lambda partial: False)
    with pytest.raises(LogLost, match="record of"):
        await reader.read()
    assert channel.received < 100


async def test_a_header_without_an_end_is_refused() -> None:
    connection: Any = Said(b"ok 10 10:1")
    with pytest.raises(OSError, match="no header of a deliverable"):
        async with RemoteDeliverable(connection, "/w", "a", 100):
            pass
    assert connection.received < 2 * remote_deliverable.HEADER_LIMIT


@pytest.mark.parametrize("size", [b"101", b"9" * 30, b"-1", b"1e3", b"\xd9\xa3"])
async def test_a_size_that_was_not_asked_for_is_refused(size: bytes) -> None:
    connection: Any = Said(b"ok " + size + b" " + size + b":1\n")
    with pytest.raises(OSError):
        async with RemoteDeliverable(connection, "/w", "a", 100):
            pass


async def test_content_beyond_the_announced_size_is_not_taken() -> None:
    connection: Any = Said(b"ok 10 10:1\n", b"0123456", b"x" * 100_000)
    async with RemoteDeliverable(connection, "/w", "a", 100) as deliverable:
        content = b"".join([piece async for piece in deliverable.chunks()])
    assert content == b"0123456xxx"


@pytest.mark.servers
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_task_directory_that_another_user_made_is_refused(ssh: Ssh, tmp_path: Path) -> None:
    task = tmp_path / "task"
    task.mkdir()
    os.chown(task, 1234, 1234)

    async def program() -> None:
        async with connected(trusted_host(ssh, task)) as host:
            with pytest.raises(HostFailed, match=r"belongs to another user \(uid 1234\)"):
                await host.setup_workdir()

    run(program())
    assert list(task.iterdir()) == []


@pytest.mark.servers
def test_a_task_directory_that_is_a_link_is_refused(ssh: Ssh, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "task").symlink_to("elsewhere")

    async def program() -> None:
        async with connected(trusted_host(ssh, tmp_path / "task")) as host:
            with pytest.raises(HostFailed, match="is a link"):
                await host.setup_workdir()

    run(program())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.servers
def test_a_workdir_that_was_replaced_is_not_entered(ssh: Ssh, tmp_path: Path) -> None:
    from optio_agents.bridge import Boundary, run_in_trio
    from optio_agents.hosts.remote import RemoteSessionHost

    async def check(boundary: Boundary, host: Any) -> None:
        session_host = RemoteSessionHost(host, boundary)
        await session_host.setup_workdir()
        workdir = tmp_path / "task" / "workdir"
        workdir.rename(tmp_path / "old")
        workdir.mkdir()
        with pytest.raises(HostFailed, match="gone or was replaced"):
            await session_host.prepare_channel()
        with pytest.raises(HostFailed, match="gone or was replaced"):
            await session_host.install_scripts("bin", {"a": "b"})
        with pytest.raises(OSError, match="gone or was replaced"):
            async with session_host.open_deliverable("a", limit=10):
                pass
        with pytest.raises(LogLost, match="gone or was replaced"):
            async with session_host.open_log(LOG_START, settled=lambda partial: False) as reader:
                await reader.read()
        assert list(workdir.iterdir()) == []

    async def program() -> None:
        async with connected(trusted_host(ssh, tmp_path / "task")) as host:
            await run_in_trio(lambda boundary: check(boundary, host))

    run(program())
