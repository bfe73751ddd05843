"""`optio-agents chat` with a real agent: the command line as it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import trio

from tests.support.agent_lab import HANG_GUARD, Lab, require

pytestmark = pytest.mark.agents


@pytest.mark.parametrize("name", ["claude", "codex"])
async def test_a_program_talks_to_a_real_agent(lab: Lab, name: str) -> None:
    command = [*lab.enter, *require(name)]
    chat = [sys.executable, "-m", "optio_agents.cli", "chat", "--agent", name, "--json"]
    process = await trio.lowlevel.open_process(
        [*chat, "--workdir", str(lab.workdir), "--", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**lab.environment(), "HOME": str(lab.home)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with trio.fail_after(HANG_GUARD):
            for text in ("[[say one]]", "[[say two]]"):
                await process.stdin.send_all(json.dumps({"send": text}).encode() + b"\n")
            await process.stdin.aclose()
            output = b""
            async for data in process.stdout:
                output += data
            assert await process.wait() == 0
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_GUARD):
            await process.wait()
        await trio.aclose_forcefully(process.stdin)
        await trio.aclose_forcefully(process.stdout)
    heard: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    assert heard[0]["kind"] == "ready"
    assert [line["text"].strip() for line in heard if line["kind"] == "turn"] == ["one", "two"]
    assert "".join(line["text"] for line in heard if line["kind"] == "event").split() == ["one", "two"]
    assert heard[-1]["kind"] == "closed"
    assert "exit status 0" in heard[-1]["how"]
