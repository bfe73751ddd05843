"""`examples/coding_agent.py`, run as a user runs it, with the real Claude Code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.support.agent_lab import HANG_GUARD, Lab, require

pytestmark = pytest.mark.agents

EXAMPLE = Path(__file__).parents[2] / "examples" / "coding_agent.py"


def bash(command: str) -> str:
    return f"[[tool Bash {json.dumps({'command': command, 'description': 'd'})}]]"


async def test_the_example_delivers_a_file_hears_the_reply_and_ends_with_done(lab: Lab) -> None:
    write = bash("echo 'waves come, waves go' > deliverables/haiku.txt")
    deliver = bash("echo 'DELIVERABLE: deliverables/haiku.txt' >> optio.log")
    done = bash("echo 'DONE: a haiku' >> optio.log")
    script = f"{write}{deliver}[[wait delivered]]{bash('touch looked')}[[wait answered]]{done}"
    process = await trio.lowlevel.open_process(
        [sys.executable, str(EXAMPLE), script, *lab.enter, *require("claude")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**lab.environment(), "HOME": str(lab.home), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    output, taken = b"", trio.Event()
    try:
        with trio.fail_after(HANG_GUARD):

            async def answer_when_the_reply_is_there() -> None:
                await lab.waiting("delivered")
                await taken.wait()
                # The reply goes into the turn that runs: it arrives together with the result of the next tool.
                await lab.release("delivered")
                await lab.arrived("System: deliverable haiku.txt: accepted")
                await lab.release("answered")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer_when_the_reply_is_there)
                async for data in process.stdout:
                    output += data
                    if b"waves come, waves go" in output.partition(b"--- haiku.txt")[2]:
                        taken.set()
                nursery.cancel_scope.cancel()
            assert await process.wait() == 0, output.decode()
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_GUARD):
            await process.wait()
        await trio.aclose_forcefully(process.stdout)
    lines = output.decode().splitlines()
    assert "--- haiku.txt" in lines
    assert "waves come, waves go" in lines
    assert any(line.startswith("allowed: Bash") for line in lines)
    assert lines[-1] == "ended: done a haiku"
    assert lab.survivors() == []
