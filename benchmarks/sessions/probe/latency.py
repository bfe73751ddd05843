"""How long from an agent's write until the ctx is called, the agent being another process.

Parameters: `world`, `samples`, `beside` (how many idle sessions there are besides), `seed`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.sessions.probe.contexts import CountingContext
from benchmarks.sessions.probe.sessions import log_of, run_session, task_directory
from benchmarks.sessions.probe.worlds import open_world

AGENT = """
import os, random, sys, time
path, samples, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gaps = random.Random(seed)
log = os.open(path, os.O_WRONLY | os.O_APPEND)
time.sleep(0.3)
for _ in range(samples):
    time.sleep(gaps.uniform(0.012, 0.02))
    os.write(log, b"STATUS: written at %d\\n" % time.monotonic_ns())
time.sleep(0.3)
os.write(log, b"DONE\\n")
"""
"""At most ten messages in a tenth of a second: more would be coalesced, by optio-core or by us."""


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Collect `samples` latencies, in seconds."""
    world = open_world(parameters["world"])
    latencies: list[float] = []

    class TimingContext(CountingContext):
        def report_progress(self, percent: float | None, message: str | None = None, **_: Any) -> None:
            now = time.monotonic_ns()
            if message and message.startswith("written at "):
                latencies.append((now - int(message[11:])) / 1e9)

    async def main() -> None:
        standing = 0
        all_stand = world.event()
        agents: list[subprocess.Popen[bytes]] = []

        async def idle() -> None:
            async def body(host: Any) -> None:
                nonlocal standing
                standing += 1
                if standing == parameters["beside"]:
                    all_stand.set()
                await world.forever()

            with task_directory() as directory:
                await run_session(world, directory, CountingContext(world), body)

        async def measured() -> None:
            async def body(host: Any) -> None:
                arguments = [log_of(host), str(parameters["samples"]), str(parameters["seed"])]
                agents.append(subprocess.Popen([sys.executable, "-c", AGENT, *arguments]))
                await world.forever()

            if parameters["beside"]:
                await all_stand.wait()
                await world.sleep(1.0)
            with task_directory() as directory:
                await run_session(world, directory, TimingContext(world), body)

        await world.beside(measured, [idle] * parameters["beside"])
        for agent in agents:
            agent.wait()

    world.run(main)
    return {"latencies": latencies}
