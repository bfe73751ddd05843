"""The checklist's file on real hosts, and what an agent may have planted in its place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optio_host.host import LocalHost, RemoteHost

from optio_agents.todos import TODO_FILENAME
from optio_agents.todos.storage import read_saved, write_saved
from tests.support.servers import Ssh, running_sshd
from tests.support.ssh_host import ssh_config

LIST = '{"items":[]}'


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(params=["local", pytest.param("remote", marks=pytest.mark.servers)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    taskdir = str(tmp_path / "it's a task")
    if request.param == "local":
        return LocalHost(taskdir)
    return RemoteHost(ssh_config(request.getfixturevalue("ssh")), taskdir)


def run(host: Any, scenario: Callable[[Path], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60):
            await host.connect()
            try:
                await host.setup_workdir()
                await scenario(Path(host.workdir))
            finally:
                await host.disconnect()

    asyncio.run(whole())


def test_what_is_written_is_read(host: Any) -> None:
    async def scenario(workdir: Path) -> None:
        assert await read_saved(host) is None
        for text in (LIST, LIST + " " * 100_000 + "ü"):
            await write_saved(host, text)
            assert await read_saved(host) == text
        assert [path.name for path in workdir.iterdir()] == [TODO_FILENAME]
        assert [path.name for path in workdir.parent.iterdir()] == ["workdir"]

    run(host, scenario)


def test_a_symlink_is_replaced_and_never_followed(host: Any, tmp_path: Path) -> None:
    async def scenario(workdir: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_text("the worker's own")
        (workdir / TODO_FILENAME).symlink_to(victim)
        assert await read_saved(host) is None
        await write_saved(host, LIST)
        assert victim.read_text() == "the worker's own"
        assert (workdir / TODO_FILENAME).read_text() == LIST
        assert not (workdir / TODO_FILENAME).is_symlink()

    run(host, scenario)


def test_a_workdir_that_became_a_symlink_is_not_entered(host: Any, tmp_path: Path) -> None:
    async def scenario(workdir: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        workdir.rmdir()
        workdir.symlink_to(other)
        with pytest.raises(OSError, match=r"."):
            await write_saved(host, LIST)
        assert list(other.iterdir()) == []
        assert [path.name for path in workdir.parent.iterdir()] == ["workdir"]

    run(host, scenario)


@pytest.mark.parametrize("kind", ["fifo", "directory", "huge"])
def test_what_is_no_list_is_not_waited_for(host: Any, kind: str) -> None:
    async def scenario(workdir: Path) -> None:
        planted = workdir / TODO_FILENAME
        if kind == "fifo":
            os.mkfifo(planted)
        elif kind == "directory":
            planted.mkdir()
        else:
            with planted.open("wb") as file:
                file.truncate(1 << 40)
        assert await read_saved(host) is None
        if kind == "directory":
            with pytest.raises(OSError, match=r"."):
                await write_saved(host, LIST)
        else:
            await write_saved(host, LIST)
            assert await read_saved(host) == LIST

    run(host, scenario)
