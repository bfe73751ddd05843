"""What hooks and callbacks do with optio-host's local host under asyncio is as safe as on ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import optio_host.host
import pytest

from optio_agents.context import HookContext
from optio_agents.hosts.contained import contained
from tests.support.processes import alive


class Ctx:
    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path) -> Any:
    host = optio_host.host.LocalHost(str(tmp_path / "task"))
    os.makedirs(host.workdir)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("secret")
    os.symlink(tmp_path / "outside", f"{host.workdir}/link")
    return host


@pytest.fixture
def hook_ctx(host: Any) -> HookContext:
    hook_ctx = HookContext(Ctx(), host)
    hook_ctx._host_method = contained
    return hook_ctx


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"a", b"b"):
        await asyncio.sleep(0)
        yield piece


def test_no_path_leads_out_through_a_link_that_the_agent_planted(
    host: Any, hook_ctx: HookContext, tmp_path: Path
) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="leads out"):
            await hook_ctx.copy_file(b"x", "link/new")
        with pytest.raises(OSError, match="leads out"):
            await hook_ctx.read_from_host("link/key")
        await hook_ctx.copy_file(pieces(), "sub/file")
        assert await hook_ctx.read_from_host("sub/file") == b"ab"
        await hook_ctx.copy_file(b"own", str(tmp_path / "outside" / "named by the task's author"))

    asyncio.run(main())
    assert sorted(os.listdir(tmp_path / "outside")) == ["key", "named by the task's author"]


def test_a_cancelled_command_is_ended(host: Any, hook_ctx: HookContext) -> None:
    async def main() -> int:
        running = asyncio.create_task(hook_ctx.run_on_host("echo $$ > pid; exec sleep 1000"))
        path = Path(host.workdir) / "pid"
        async with asyncio.timeout(30):
            while not path.exists() or not path.read_text().strip():
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return int(path.read_text())

    assert not alive(asyncio.run(main()))


def test_a_host_with_a_method_of_its_own_is_asked(host: Any) -> None:
    async def own(command: str, **_: Any) -> str:
        return command

    host.run_command = own
    assert contained(host, "run_command") is own
