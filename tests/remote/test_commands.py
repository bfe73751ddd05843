"""Commands that a body runs on a remote host, as on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from optio_agents import run_log_protocol_session
from optio_agents.hosts.ssh import channels as channels_module
from optio_agents.hosts.ssh.errors import HostFailed
from tests.support.remote_task import Ctx, run, trusted_host
from tests.support.servers import Ssh, running_sshd
from tests.support.ssh_host import connected, ssh_host

pytestmark = pytest.mark.servers


def in_session(host: Any, test: Callable[[Any], Awaitable[None]]) -> None:
    """Run a test as the body of a session on a host."""

    async def body(host: Any, hook_context: Any) -> None:
        await test(hook_context)
        await hook_context.run_on_host("echo DONE >> optio.log")
        await asyncio.sleep(60)

    async def program() -> None:
        async with connected(host):
            await run_log_protocol_session(host, Ctx(), body=body)

    run(program())


@pytest.mark.parametrize("kind", [ssh_host, trusted_host], ids=["optio-host's", "ours"])
def test_input_is_empty_and_a_command_ends_with_itself(ssh: Ssh, tmp_path: Path, kind: Any) -> None:
    async def test(hook_context: Any) -> None:
        assert await hook_context.run_on_host("cat; echo over") == "over\n"
        assert await hook_context.run_on_host("sleep 30 & echo started") == "started\n"
        assert await hook_context.run_on_host("pwd") == f"{tmp_path}/task/workdir\n"
        assert await hook_context.run_on_host("pwd", cwd="/") == "/\n"
        result = await hook_context.run_on_host("echo out; echo err >&2; exit 3", check=False)
        assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)

    in_session(kind(ssh, tmp_path / "task"), test)


@pytest.mark.parametrize("sessions", [1, 2, 10])
def test_many_commands_at_once_within_the_servers_limit(tmp_path: Path, sessions: int) -> None:
    async def test(hook_context: Any) -> None:
        commands = (hook_context.run_on_host(f"sleep 0.3; echo {number}") for number in range(20))
        assert await asyncio.gather(*commands) == [f"{number}\n" for number in range(20)]

    with running_sshd(tmp_path, f"MaxSessions {sessions}") as ssh:
        in_session(trusted_host(ssh, tmp_path / "task"), test)


def test_a_server_without_sessions_is_named(tmp_path: Path) -> None:
    async def program() -> None:
        async with connected(trusted_host(ssh, tmp_path / "task")) as host:
            with pytest.raises(HostFailed, match="allows no session"):
                await host.run_command("true")

    with running_sshd(tmp_path, "MaxSessions 0") as ssh:
        run(program())


def test_a_server_without_sftp_does_for_all_but_files(tmp_path: Path) -> None:
    async def test(hook_context: Any) -> None:
        with pytest.raises(OSError, match="no SFTP"):
            await hook_context.copy_file(b"content", "file")

    with running_sshd(tmp_path, "Subsystem other /bin/false") as ssh:
        in_session(trusted_host(ssh, tmp_path / "task"), test)


def test_output_is_bounded(ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        async with connected(trusted_host(ssh, tmp_path / "task")) as host:
            with pytest.raises(HostFailed, match="printed more than 1,000,000 bytes"):
                await host.channels.run("yes", limit=1_000_000)
            with pytest.raises(HostFailed, match="printed more than 1,000 bytes"):
                await host.channels.run("head -c 2000 /dev/zero >&2", limit=1_000)
            status, output, _ = await host.channels.run("head -c 1000000 /dev/zero", limit=1_000_000)
            assert (status, len(output)) == (0, 1_000_000)

    assert channels_module.OUTPUT_LIMIT == 16 << 20
    run(program())


def test_files_are_copied_to_and_from_the_host(ssh: Ssh, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000

    async def test(hook_context: Any) -> None:
        await hook_context.copy_file(content, "sub/file")
        assert await hook_context.read_from_host("sub/file") == content
        with pytest.raises(FileNotFoundError):
            await hook_context.read_from_host("sub/other")

    in_session(trusted_host(ssh, tmp_path / "task"), test)
