"""Commands as the local host runs them: what they print, what they inherit, and that nothing of them is
left.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import optio_host.host
import pytest
import trio

from optio_agents.hosts.local import LocalHost
from optio_agents.hosts.processes import commands
from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.excerpt import HEAD, TAIL
from tests.support.processes import alive

ODD_NAME = "task 'dir\"; touch pwned #$(touch pwned)"


@pytest.fixture
async def host(tmp_path: Path) -> LocalHost:
    host = LocalHost(str(tmp_path / ODD_NAME))
    await host.setup_workdir()
    return host


async def test_a_command_runs_in_the_workdir_and_reports_what_it_printed(host: LocalHost) -> None:
    result = await host.run_command("pwd; printf '\\377' >&2; exit 3")
    assert result == optio_host.host.RunResult(host.workdir + "\n", "\N{REPLACEMENT CHARACTER}", 3)
    assert (await host.run_command("pwd", cwd="/")).stdout == "/\n"
    assert not os.path.exists("pwned")
    assert os.listdir(host.workdir) == []


async def test_the_environment_is_inherited_or_replaced(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    assert (await host.run_command("echo $INHERITED")).stdout == "yes\n"
    assert (await host.run_command("echo $INHERITED $GIVEN", env={"GIVEN": "too"})).stdout == "too\n"


async def test_a_command_that_reads_its_input_finds_it_empty(host: LocalHost) -> None:
    with trio.fail_after(30):
        assert (await host.run_command("cat")).stdout == ""


async def test_a_large_output_on_both_streams_does_not_block(host: LocalHost) -> None:
    with trio.fail_after(60):
        result = await host.run_command("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero")
    assert (len(result.stdout), len(result.stderr)) == (3_000_000, 3_000_000)


async def test_a_child_in_the_background_that_holds_the_output_is_not_waited_for(host: LocalHost) -> None:
    with trio.fail_after(60):
        result = await host.run_command("sleep 1000 & echo $!; echo err >&2")
    os.kill(int(result.stdout), signal.SIGKILL)
    assert (result.stderr, result.exit_code) == ("err\n", 0)


async def test_all_that_was_printed_before_the_end_is_returned(host: LocalHost) -> None:
    """The pipe may be full when the command ends."""
    for _ in range(20):
        result = await host.run_command("sleep 1000 & echo $!; head -c 60000 /dev/zero | tr '\\0' x")
        child, rest = result.stdout.split("\n")
        os.kill(int(child), signal.SIGKILL)
        assert len(rest) == 60000


async def test_output_without_end_is_kept_in_part(host: LocalHost) -> None:
    result = await host.run_command("echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo last")
    assert result.stdout.startswith("first\nxxx")
    assert result.stdout.endswith("xxxlast\n")
    assert "bytes left out ...]" in result.stdout
    assert len(result.stdout) < HEAD + TAIL + 1_000_000


async def test_cancelling_a_command_ends_it_and_what_it_started(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "CANCELLED", Deadlines(term=0.2))
    pids = Path(host.workdir, "pids")
    os.mkfifo(pids)
    command = "trap '' TERM; setsid sleep 1000 & echo $! $$ > pids; while :; do sleep 1000; done"
    with trio.fail_after(60), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.run_command, command)
            text = await trio.to_thread.run_sync(pids.read_text, abandon_on_cancel=True)
            scope.cancel()
    started = [int(pid) for pid in text.split()]
    assert len(started) == 2
    assert [pid for pid in started if alive(pid)] == []


async def test_a_command_whose_directory_is_gone_is_an_error(host: LocalHost) -> None:
    with pytest.raises(FileNotFoundError):
        await host.run_command("true", cwd=host.workdir + "/gone")


async def test_a_launched_program_talks_through_its_pipes(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    handle = await host.launch_subprocess(
        "echo $SECRET_TOKEN-$GIVEN; while read line; do echo got $line; done; printf end; echo err >&2",
        env={"GIVEN": "x"},
        env_remove=["*_TOKEN"],
        merge_stderr=False,
        stdin=True,
    )
    assert await anext(handle.stdout) == b"-x\n"
    handle.stdin.write(b"one\n")
    await handle.stdin.drain()
    assert await anext(handle.stdout) == b"got one\n"
    handle.stdin.write(b"two\n")
    handle.stdin.close()
    await handle.stdin.wait_closed()
    assert [line async for line in handle.stdout] == [b"got two\n", b"end"]
    assert [line async for line in handle.stderr] == [b"err\n"]
    assert await optio_host.host.proc_wait(handle) == 0
    await host.terminate_subprocess(handle, aggressive=False)


@pytest.mark.parametrize("aggressive", [False, True])
async def test_terminating_ends_the_whole_tree_and_keeps_what_was_printed(
    host: LocalHost, aggressive: bool
) -> None:
    handle = await host.launch_subprocess("setsid sleep 1000 & echo $!; exec sleep 1000")
    child = int(await anext(handle.stdout))
    with trio.fail_after(60):
        await host.terminate_subprocess(handle, aggressive=aggressive)
        assert [line async for line in handle.stdout] == []
    assert handle.pid_like.returncode in (-signal.SIGTERM, -signal.SIGKILL)
    assert not alive(child)
    await host.terminate_subprocess(handle, aggressive=aggressive)


async def test_disconnecting_ends_what_nobody_terminated(host: LocalHost) -> None:
    before = len(os.listdir("/proc/self/fd"))
    handle = await host.launch_subprocess("exec sleep 1000", stdin=True)
    with trio.fail_after(60):
        await host.disconnect()
    assert handle.pid_like.returncode is not None
    assert [line async for line in handle.stdout] == []
    assert len(os.listdir("/proc/self/fd")) == before
