"""Seeds of homes on another machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optio_host.host import RemoteHost

from optio_agents import seeds
from tests.seeds.lab import Lab, files_of, home_of, left_beside, run
from tests.support.servers import Ssh, running_sshd
from tests.support.ssh_host import connected, ssh_config

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def test_a_home_is_captured_refreshed_and_planted_over_ssh(database: str, ssh: Ssh, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        big = os.urandom(3_000_000).hex()
        async with (
            connected(RemoteHost(ssh_config(ssh), str(tmp_path / "it's one"))) as one,
            connected(RemoteHost(ssh_config(ssh), str(tmp_path / "two"))) as two,
        ):
            for host in (one, two):
                await host.setup_workdir()
            _write(one, {".config/agent.json": "token", ".agent/big": big, "notes": "private"})
            seed_id = await lab.capture(one)
            _write(one, {".agent/new": "N"})
            await lab.refresh(one, seed_id)
            await lab.plant(two, seed_id)
            assert files_of(two) == {".config/agent.json": "token", ".agent/big": big, ".agent/new": "N"}
            assert left_beside(one) == left_beside(two) == []
            await lab.assert_only_listed_blobs()

    run(database, tmp_path, scenario)


def test_nothing_planted_is_followed_over_ssh(database: str, ssh: Ssh, tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "agent.json").write_text("the worker's own")
        async with connected(RemoteHost(ssh_config(ssh), str(tmp_path / "one"))) as host:
            await host.setup_workdir()
            _write(host, {".agent/a": "A", ".config/agent.json": "token"})
            seed_id = await lab.capture(host)
            (home_of(host) / ".config/agent.json").unlink()
            (home_of(host) / ".config").rmdir()
            (home_of(host) / ".config").symlink_to(outside)
            for call in (lab.capture(host), lab.plant(host, seed_id), lab.refresh(host, seed_id)):
                with pytest.raises(seeds.SeedArchiveError, match="is a symlink: it is not followed"):
                    await call
            assert (outside / "agent.json").read_text() == "the worker's own"
            assert left_beside(host) == []

    run(database, tmp_path, scenario)


def _write(host: Any, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = home_of(host) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
