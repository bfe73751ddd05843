"""Where a process owns all orphans, none escapes it and none stays a zombie. In a process of its own each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import alive

ESCAPE = """
import os, sys
import trio
from optio_agents.hosts.processes import adoption
from optio_agents.hosts.processes.owned import OwnedProcess

async def main():
    # It is orphaned, in a session of its own and without the mark, before any snapshot.
    command = 'env -i setsid sh -c "echo \\\\$\\\\$ > pid; exec sleep 1000" & while [ ! -s pid ]; do :; done'
    process = await OwnedProcess.start(["sh", "-c", command], environment=os.environ, cwd=sys.argv[1])
    await process.wait()
    print(await process.end())

if sys.argv[2] == "subreaper":
    assert adoption.become_subreaper()
trio.run(main)
"""

ZOMBIES = """
import os, sys
import trio
from optio_agents.hosts.processes import adoption
from optio_agents.hosts.processes.owned import OwnedProcess
from optio_agents.hosts.processes.snapshot import read_snapshot

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(adoption.reap_adopted)
        await trio.testing.wait_all_tasks_blocked()
        command = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); (true & true); done; exec sleep 1000"
        process = await OwnedProcess.start(["sh", "-c", command], environment=os.environ)
        ended = await OwnedProcess.start(["sh", "-c", "exit 7"], environment=os.environ)
        assert await ended.wait() == 7
        with trio.fail_after(60):
            seen = 0
            while True:
                left = [e for e in adoption.adopted(read_snapshot()) if e.dead]
                shells = [e for e in read_snapshot().values() if e.parent == process.pid]
                if seen and not left and [e for e in shells if e.name == "sleep"] == shells:
                    break
                seen += 1
                await trio.sleep(0.3)
        await process.end()
        nursery.cancel_scope.cancel()

import trio.testing
assert adoption.become_subreaper()
trio.run(main)
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mode", ["subreaper", "plain"])
def test_a_process_that_left_its_session_with_an_empty_environment_is_ended(
    tmp_path: Path, mode: str
) -> None:
    run(ESCAPE, str(tmp_path), mode)
    pid = int((tmp_path / "pid").read_text())
    try:
        assert alive(pid) == (mode == "plain"), "without a subreaper it cannot be found"
    finally:
        if alive(pid):
            subprocess.run(["kill", "-9", str(pid)], check=True)


def test_adopted_processes_are_reaped_and_ours_keep_their_status() -> None:
    run(ZOMBIES)
