"""Asking agents of ours, each a real process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from optio_agents.conversation import Agent, acp
from optio_agents.model_probe.own import probe_agents

SCRIPT = str(Path(__file__).parents[1] / "support" / "acp_agent.py")


def agent_for(model: str) -> Agent:
    """The model is what the agent does: `hang`, `crash`, `say:Budapest`; `missing` is a program that is not there."""
    if model == "missing":
        return acp("missing", ["/nonexistent/agent"])
    return acp(model, [sys.executable, SCRIPT, "--do", model])


def test_each_model_answers_for_itself(tmp_path: Path) -> None:
    reported: list[tuple[int, int, str]] = []

    async def whole() -> dict[str, bool]:
        async with asyncio.timeout(120):
            return await probe_agents(
                agent_for,
                ["say:Budapest", "hang", "crash", "missing", "say:Vienna"],
                workdir=tmp_path,
                per_model_timeout=8,
                usable_check=lambda text: "Budapest" in text,
                report=lambda *done: reported.append(done),
            )

    found = asyncio.run(whole())
    assert found == {
        "say:Budapest": True,
        "hang": False,
        "crash": False,
        "missing": False,
        "say:Vienna": False,
    }
    assert reported[-1] == (5, 5, "say:Vienna")
