"""The guard beside an agent: it outlives connections, and nothing outlives it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from optio_agents.hosts.ssh import guarded
from optio_agents.hosts.ssh.channels import Channels
from optio_agents.hosts.ssh.guarded import GuardedProcess, OrphanPolicy
from tests.support.remote_task import processes, run, soon, trusted_host
from tests.support.servers import Ssh

pytestmark = pytest.mark.servers

MARK = ("TEST_MARK", "1")
CUTS = int(os.environ.get("OPTIO_AGENTS_TEST_CUTS", "4"))


@asynccontextmanager
async def guarding(
    ssh: Ssh, taskdir: Path, orphan_policy: OrphanPolicy | None = None
) -> AsyncIterator[tuple[Channels, GuardedProcess]]:
    """Channels to a host, and a program that can be started under a guard."""
    host = trusted_host(ssh, taskdir)
    await host.connect()
    try:
        await host.setup_workdir()
        yield host.channels, GuardedProcess(host.channels, host.taskdir, orphan_policy or OrphanPolicy(60.0))
    finally:
        await host.disconnect()


async def start(process: GuardedProcess, taskdir: Path, command: str) -> None:
    await process.start(command, cwd=f"{taskdir}/workdir", env={"ODD": "a 'b'\n$c"}, mark=MARK)


async def read_until(process: GuardedProcess, text: bytes) -> bytes:
    output = b""
    while text not in output:
        data = await process.stdout.read(65536)
        assert data, output
        output += data
    return output


def test_it_is_spoken_to_heard_and_ended(ssh: Ssh, tmp_path: Path) -> None:
    async def program() -> None:
        async with guarding(ssh, tmp_path / "task") as (_, process):
            await start(process, tmp_path / "task", 'echo "$ODD in $PWD"; cat; echo over; exit 7')
            process.write(b"one\ntw")
            process.write(b"o\n")
            await process.drain()
            process.write_eof()
            assert await process.wait() == 7
            output = b"".join([piece async for piece in process])
            assert output == f"a 'b'\n$c in {tmp_path}/task/workdir\none\ntwo\nover\n".encode()
            assert await process.end(1.0) is None
            assert processes(str(tmp_path / "task")) == []

    run(program())


@pytest.mark.parametrize("seed", range(CUTS))
def test_no_byte_is_lost_and_no_message_repeated_when_the_connection_is_cut(
    ssh: Ssh, tmp_path: Path, seed: int
) -> None:
    async def program() -> None:
        async with guarding(ssh, tmp_path / "task") as (_, process):
            numbers = 3000 * (seed + 1)
            await start(
                process, tmp_path / "task", f"seq {numbers}; while read -r x; do echo got $x; done; echo over"
            )
            cuts, expected = 0, b"".join(b"%d\n" % n for n in range(1, numbers + 1))
            output = await read_until(process, b"\n")
            for message in range(5):
                process.write(b"message %d\n" % message)
                await asyncio.sleep(0.03 * seed)
                cuts += bool(ssh.cut())
            process.write_eof()
            async with asyncio.timeout(60):
                output += await read_until(process, b"over\n")
            assert output == expected + b"".join(b"got message %d\n" % n for n in range(5)) + b"over\n"
            assert cuts
            assert await process.wait() == 0
            await process.end(1.0)
            await soon(lambda: processes(str(tmp_path / "task")) == [])

    run(program())


def test_output_that_nobody_reads_is_bounded_on_the_host_and_comes_whole(ssh: Ssh, tmp_path: Path) -> None:
    size = 40 << 20

    def spool() -> int:
        return sum(path.stat().st_size for path in (tmp_path / "task").glob("guard-*/out.*"))

    async def program() -> None:
        async with guarding(ssh, tmp_path / "task") as (_, process):
            await start(process, tmp_path / "task", f"head -c {size} /dev/zero")
            await soon(lambda: spool() >= 8 << 20)
            await asyncio.sleep(0.5)  # it goes on writing, if it can
            assert spool() < 12 << 20
            received = 0
            async for piece in process:
                received += len(piece)
            assert received == size
            assert await process.wait() == 0
            await process.end(1.0)

    run(program())


def test_nobody_comes_back_so_the_agent_is_told_then_ended_and_all_of_it_removed(
    ssh: Ssh, tmp_path: Path
) -> None:
    task = tmp_path / "task"
    script = f"""
        env -i sleep 987654 & (trap '' TERM; exec sleep 876543) & setsid sleep 765432 &
        cat; echo input over > {tmp_path}/told; exec sleep 654321
    """

    async def program() -> None:
        async with guarding(ssh, task, OrphanPolicy(1.0, remove=str(task))) as (_, process):
            await start(process, task, script)
            await soon(lambda: len(processes("sleep 987654")) == 1)
            await process.leave()
        await soon(lambda: not task.exists())
        assert (tmp_path / "told").read_text() == "input over\n"
        await soon(lambda: processes(str(task)) == [])
        assert [
            each for number in ("987654", "876543", "765432", "654321") for each in processes(number)
        ] == []

    run(program())


def test_who_is_attached_is_never_an_orphan(ssh: Ssh, tmp_path: Path) -> None:
    async def program() -> None:
        async with guarding(ssh, tmp_path / "task", OrphanPolicy(1.0)) as (_, process):
            await start(process, tmp_path / "task", "read -r x; echo got $x")
            await asyncio.sleep(5)
            process.write(b"late\n")
            assert await read_until(process, b"\n") == b"got late\n"
            await process.end(1.0)

    run(program())


def test_a_guard_that_was_killed_is_a_failure_that_says_so(ssh: Ssh, tmp_path: Path) -> None:
    async def program() -> None:
        async with guarding(ssh, tmp_path / "task") as (channels, process):
            await start(process, tmp_path / "task", "sleep 345678")
            await soon(lambda: processes("sleep 345678"))
            await channels.run(f"rm -rf {tmp_path}/task/guard-*")
            ssh.cut()
            assert await process.wait() is None
            assert "guard of the agent is gone" in str(process.failure)
            # It cannot be found by its guard any more: by its mark it can.
            script = guarded.end_leftovers(f"{tmp_path}/task", await channels.userland(), *MARK, 1.0)
            await channels.run(script)
            assert processes("sleep 345678") == []

    run(program())


def test_the_next_run_ends_what_the_last_one_left_and_its_guard(ssh: Ssh, tmp_path: Path) -> None:
    async def program() -> None:
        host = trusted_host(ssh, tmp_path / "task")
        await host.connect()
        await host.setup_workdir()
        handle = await host.launch_subprocess(
            "exec sleep 234567", env={"OPTIO_PROCESS_TREE": "mine"}, stdin=True
        )
        await soon(lambda: processes("sleep 234567"))
        await handle.pid_like.leave()
        await host.disconnect()
        again = trusted_host(ssh, tmp_path / "task")
        await again.connect()
        try:
            await again.end_leftovers("OPTIO_PROCESS_TREE", "mine", 1.0)
            assert processes(str(tmp_path / "task")) + processes("sleep 234567") == []
        finally:
            await again.disconnect()

    run(program())
