"""What sessions cost while nothing happens.

Parameters: `world`, `count`, `seconds`.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.sessions.probe import meters
from benchmarks.sessions.probe.contexts import CountingContext
from benchmarks.sessions.probe.sessions import run_session, task_directory
from benchmarks.sessions.probe.worlds import open_world


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Hold `count` sessions for `seconds`, and look."""
    world = open_world(parameters["world"])
    answer: dict[str, Any] = {}

    async def main() -> None:
        standing = 0
        all_stand = world.event()

        async def idle() -> None:
            async def body(host: Any) -> None:
                nonlocal standing
                standing += 1
                if standing == parameters["count"]:
                    all_stand.set()
                await world.forever()

            with task_directory() as directory:
                await run_session(world, directory, CountingContext(world), body)

        async def look() -> None:
            await all_stand.wait()
            await world.sleep(1.0)
            answer["descriptors"] = meters.descriptors() - before
            answer["children"] = meters.children()
            answer["threads"] = meters.threads()
            answer["seconds"] = parameters["seconds"]
            wake_ups, used = meters.wake_ups(), time.process_time()
            await world.sleep(parameters["seconds"])
            answer["cpu_seconds"] = time.process_time() - used
            answer["wake_ups"] = meters.wake_ups() - wake_ups

        before = meters.descriptors()
        await world.beside(look, [idle] * parameters["count"])

    world.run(main)
    return answer
