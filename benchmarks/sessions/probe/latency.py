"""How long from an agent's write until the ctx is called, the agent being another process.

Parameters: `world`, `samples`, `beside` (how many idle sessions there are besides), `seed`.
"""

from __future__ import annotations

import subprocess
import time
from typing import Any

from benchmarks.sessions.probe import agent
from benchmarks.sessions.probe.contexts import CountingContext
from benchmarks.sessions.probe.sessions import log_of, run_session, task_directory
from benchmarks.sessions.probe.worlds import open_world


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Collect `samples` latencies, in seconds."""
    world = open_world(parameters["world"])
    latencies: list[float] = []

    class TimingContext(CountingContext):
        def report_progress(self, percent: float | None, message: str | None = None, **_: Any) -> None:
            now = time.monotonic_ns()
            if (seconds := agent.age(message or "", now)) is not None:
                latencies.append(seconds)

    async def main() -> None:
        standing = 0
        all_stand = world.event()
        writers: list[subprocess.Popen[bytes]] = []

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
                writers.append(agent.start(log_of(host), parameters["samples"], parameters["seed"]))
                await world.forever()

            if parameters["beside"]:
                await all_stand.wait()
                await world.sleep(1.0)
            with task_directory() as directory:
                await run_session(world, directory, TimingContext(world), body)

        await world.beside(measured, [idle] * parameters["beside"])
        for writer in writers:
            writer.wait()

    world.run(main)
    return {"latencies": latencies}
