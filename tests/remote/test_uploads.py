"""Uploads to a host over SSH."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optio_agents.uploads import materialize
from tests.support.servers import Ssh
from tests.support.ssh_host import connected, ssh_host
from tests.test_uploads import held, plant

TASK = "task dir; touch injected #'\""


def over_ssh(
    ssh: Ssh, root: Path, *names: str, prepare: Callable[[str], None] = lambda workdir: None
) -> list[str]:
    async def main() -> list[str]:
        async with connected(ssh_host(ssh, root / TASK)) as host:
            os.makedirs(host.workdir, exist_ok=True)
            prepare(host.workdir)
            return [await materialize(host, host.workdir, name, b"data") for name in names]

    return asyncio.run(main())


def test_files_arrive_under_free_names(ssh: Ssh, tmp_path: Path) -> None:
    paths = over_ssh(ssh, tmp_path, "it's a.txt", "it's a.txt", "-n")
    assert paths == ["uploads/it's a.txt", "uploads/it's a (2).txt", "uploads/-n"]
    assert held(tmp_path) == {f"{TASK}/workdir/{path}": b"data" for path in paths}


@pytest.mark.parametrize("way", ["directory", "dangling"])
def test_a_link_out_of_the_workdir_is_not_followed(ssh: Ssh, tmp_path: Path, way: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(OSError, match="could not be placed"):
        over_ssh(ssh, tmp_path, "a.txt", prepare=lambda workdir: plant(workdir, elsewhere, way))
    assert held(tmp_path) == {}


def test_a_link_with_the_file_s_name_is_not_followed(ssh: Ssh, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    [path] = over_ssh(ssh, tmp_path, "a.txt", prepare=lambda workdir: plant(workdir, elsewhere, "file"))
    assert path == "uploads/a (2).txt"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("call", ["put_file_to_host", "run_command"])
def test_cancelled_in_either_call_nothing_is_left_beside_the_workdir(
    ssh: Ssh, tmp_path: Path, call: str
) -> None:
    async def main() -> None:
        async with connected(ssh_host(ssh, tmp_path / "task")) as host:
            os.makedirs(host.workdir)
            upload = asyncio.create_task(materialize(host, host.workdir, "a.txt", b"data"))
            original = host._conn.run

            async def cancelling(command: str, *arguments: Any, **options: Any) -> Any:
                moves, places = "mv -f" in command, "ln -T" in command
                if moves if call == "put_file_to_host" else places:
                    upload.cancel()
                return await original(command, *arguments, **options)

            host._conn.run = cancelling
            with pytest.raises(asyncio.CancelledError):
                await upload

    asyncio.run(main())
    assert set(held(tmp_path)) <= {"task/workdir/uploads/a.txt"}
