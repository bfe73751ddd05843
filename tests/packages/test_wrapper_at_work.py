"""A published agent package at work on this project: the real agent, offline, in a real worker on a real MongoDB."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.packages import wrapper_worker
from tests.packages.environment import Environment
from tests.support.agent_lab import Lab, open_lab, require
from tests.support.servers import Mongo

pytestmark = [pytest.mark.packages, pytest.mark.agents, pytest.mark.timeout(1200)]

HANG = 300.0

INSTALLED_AS = {"claudecode": ("claude", "2.1.330"), "codex": ("codex", "codex")}
"""For each package: the agent that it runs, and the name under which it looks for it in its cache."""


async def run_package(package: str, environment: Environment, lab: Lab, mongo: Mongo) -> dict[str, Any]:
    """Run the scenario of `wrapper_worker` and return its report."""
    agent, name = INSTALLED_AS[package]
    cache = lab.base / "cache"
    cache.mkdir()
    (cache / name).symlink_to(require(agent)[0])
    process = await trio.lowlevel.open_process(
        [
            *lab.enter,
            str(environment.python),
            "-I",
            wrapper_worker.__file__,
            package,
            f"mongodb://{mongo.socket.replace('/', '%2F')}",  # reachable from any network namespace
            f"http://127.0.0.1:{lab.port}",
            str(lab.home),
            str(cache),
        ],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(lab.home), "LANG": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    printed = b""
    try:
        async for data in process.stdout:
            printed += data
            if printed.endswith(b'{"stage": "delivered"}\n'):
                await lab.arrived("System: deliverable a.txt: accepted")
                await process.stdin.send_all(b"\n")
        await process.wait()
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            await trio.aclose_forcefully(stream)
    report: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return report


@pytest.mark.parametrize("package", INSTALLED_AS)
async def test_a_conversation_is_delivered_cancelled_resumed_and_done(
    package: str, environment: Environment, mongo: Mongo, tmp_path: Path
) -> None:
    with trio.fail_after(HANG):
        async with open_lab(tmp_path) as lab:
            report = await run_package(package, environment, lab, mongo)
    assert "error" not in report, report
    assert report["delivered"] == [["a.txt", "hi\n"]]
    assert (report["first end"], report["saved"], report["closed"]) == ("cancelled", True, True)
    assert {"allowed", "deliverables", "resume.log"} <= set(report["found"])
    assert (report["second end"], report["status"]) == ("done", None)
    assert "enough" in report["log"]
    assert len(report["asked"]) == 5
    assert "forbidden" not in report["made"]
