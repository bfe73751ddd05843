"""How long from a request to cancel until the session has returned.

Parameters: `world`, `how` (`optio`: the ctx's flag is set; `caller`: the awaiting task is cancelled), `samples`.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.sessions.probe.contexts import CountingContext
from benchmarks.sessions.probe.sessions import append, run_session, task_directory
from benchmarks.sessions.probe.worlds import open_world


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Collect `samples` times, in seconds."""
    world = open_world(parameters["world"])
    times: list[float] = []

    async def main() -> None:
        for _ in range(parameters["samples"]):
            times.append(await once())

    async def once() -> float:
        ctx = CountingContext(world)
        reported = world.event()
        asked = returned = 0.0
        ctx.report_progress = lambda *_, **__: reported.set()  # type: ignore[method-assign]

        async def body(host: Any) -> None:
            append(host, b"STATUS: 10% at work\n")
            await world.forever()

        async def session() -> None:
            nonlocal returned
            try:
                await run_session(world, directory, ctx, body)
            finally:
                returned = time.perf_counter()

        async def ask() -> None:
            nonlocal asked
            await reported.wait()
            await world.sleep(0.02)
            asked = time.perf_counter()
            if parameters["how"] == "optio":
                ctx.cancellation_flag.set()
                while not returned:
                    await world.sleep(0.001)

        with task_directory() as directory:
            await world.run_and_cancel(session, ask)
        return returned - asked

    world.run(main)
    return {"times": times}
