"""Many short sessions: at once or one after another, each with some lines.

Parameters: `world`, `count`, `at_once`, `lines` (before DONE, per session), `place` (where the task directories are).
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.sessions.probe.contexts import CountingContext
from benchmarks.sessions.probe.sessions import append, run_session, task_directory
from benchmarks.sessions.probe.worlds import open_world


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Run the sessions; answer how long it took and how many ended well."""
    world = open_world(parameters["world"])
    log = b"".join(b"STATUS: %d%% step %d\n" % (i % 100, i) for i in range(parameters["lines"])) + b"DONE\n"
    well = 0
    errors: list[str] = []
    numbers = iter(range(parameters["count"]))

    async def session() -> None:
        nonlocal well

        async def body(host: Any) -> None:
            append(host, log)
            await world.forever()

        try:
            await run_session(world, f"{directory}/{next(numbers)}", CountingContext(world), body)
            well += 1
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")

    async def main() -> None:
        if parameters["at_once"]:
            await world.all([session] * parameters["count"])
        else:
            for _ in range(parameters["count"]):
                await session()

    async def warm_up() -> None:
        await run_session(world, f"{directory}/warm-up", CountingContext(world), warm_body)

    async def warm_body(host: Any) -> None:
        append(host, b"DONE\n")
        await world.forever()

    async def both() -> float:
        await warm_up()
        began = time.perf_counter()
        await main()
        return time.perf_counter() - began

    with task_directory(parameters.get("place")) as directory:
        seconds = world.run(both)
    return {"seconds": seconds, "well": well, "errors": errors[:3]}
