"""What hooks copy to a remote workdir, and read from it, does not pass through a link that the agent planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optio_agents.context import HookContext
from optio_agents.hosts.contained import contained
from tests.support.remote_task import Ctx, run, trusted_host
from tests.support.servers import Ssh
from tests.support.ssh_host import connected, ssh_host

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("make", [ssh_host, trusted_host])
def test_no_path_leads_out_of_a_remote_workdir(ssh: Ssh, tmp_path: Path, make: Any) -> None:
    outside, workdir = tmp_path / "outside", tmp_path / "task/workdir"
    outside.mkdir()
    (outside / "key").write_text("secret")

    async def program() -> None:
        async with connected(make(ssh, tmp_path / "task")) as host:
            await host.setup_workdir()
            (workdir / "link").symlink_to(outside)
            (workdir / "file").symlink_to(outside / "key")
            (workdir / "within").mkdir()
            (workdir / "inner").symlink_to("within")
            hook_ctx = HookContext(Ctx(), host)
            hook_ctx._host_method = contained
            for path in ("link/key", "file"):
                with pytest.raises(PermissionError, match="leads out"):
                    await hook_ctx.read_from_host(path)
            with pytest.raises(PermissionError, match="leads out"):
                await hook_ctx.copy_file(b"new", "link/planted")
            with pytest.raises(FileNotFoundError):
                await hook_ctx.read_from_host("missing")
            await hook_ctx.copy_file(b"new", "file")
            for path in ("inner/a", "new directory/it's/b"):
                await hook_ctx.copy_file(b"content", path)
                await hook_ctx.copy_file(b"content", path, skip_if_unchanged=True)
                assert await hook_ctx.read_from_host(path) == b"content"
            await hook_ctx.copy_file(b"absolute", str(tmp_path / "elsewhere"))
            assert await hook_ctx.read_from_host(str(tmp_path / "elsewhere")) == b"absolute"

    run(program())
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"key": "secret"}
    assert (workdir / "file").read_text() == "new"
    assert not (workdir / "file").is_symlink()
    assert (workdir / "within/a").read_text() == "content"
    assert [path.name for path in (tmp_path / "task").iterdir()] == ["workdir"]
