"""A complete log: the time until the session has handled all of it and returned.

Parameters: `world`, `log` (a file that ends in DONE), `mongo` (a URI: a real ctx; else one that counts),
`deliverables` (how many files of 1 KB, `report-N.txt`, the log announces), `caller_messages` (whether it has any),
`wait` (whether each callback waits for a turn of its loop), `memory` (also measure the peak), `profile` (how many
functions to name), `stuck` (the first caller message's callback does not return until ATTENTION was seen).
"""

from __future__ import annotations

import cProfile
import os
import pstats
import time
from typing import Any

from benchmarks.sessions.limits import read_and_count
from benchmarks.sessions.probe.contexts import CountingContext, execute_under_optio
from benchmarks.sessions.probe.meters import PeakMemory
from benchmarks.sessions.probe.sessions import append_file, run_session, task_directory
from benchmarks.sessions.probe.worlds import open_world


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Run one session over the log."""
    world = open_world(parameters["world"])
    counts = {"deliverables": 0, "caller_messages": 0}
    answer: dict[str, Any] = {"error": None}
    began = used = 0.0
    peak: PeakMemory | None = None
    seen: list[Any] = []
    profiler = cProfile.Profile()

    async def on_deliverable(hook_ctx: Any, path: str, text: str) -> None:
        counts["deliverables"] += 1
        if parameters.get("wait"):
            await world.sleep(0)

    async def on_caller_message(hook_ctx: Any, keyword: str, data: Any) -> None:
        counts["caller_messages"] += 1
        if parameters.get("stuck") and counts["caller_messages"] == 1:
            await seen[0].wait()
        if parameters.get("wait"):
            await world.sleep(0)

    async def agent_sender(message: str) -> None:
        pass

    async def body(host: Any) -> None:
        nonlocal began, used, peak
        lay_down(host)
        if parameters.get("memory"):
            peak = PeakMemory()
        append_file(parameters["log"], host)
        if parameters.get("profile"):
            profiler.enable()
        began, used = time.perf_counter(), time.process_time()
        await world.forever()

    def lay_down(host: Any) -> None:
        folder = os.path.join(host.workdir, "deliverables")
        for number in range(parameters.get("deliverables", 0)):
            with open(os.path.join(folder, f"report-{number}.txt"), "wb") as file:
                file.write(b"one kilobyte of text.\n" * 46 + b"and the end\n")

    async def execute(ctx: Any) -> None:
        features = {"caller_messages": True} if parameters.get("caller_messages") else {}
        callbacks: dict[str, Any] = {"on_caller_message": on_caller_message} if features else {}
        if parameters.get("deliverables"):
            callbacks |= {"on_deliverable": on_deliverable, "agent_sender": agent_sender}
        with task_directory() as directory:
            try:
                await run_session(world, directory, ctx, body, features=features, **callbacks)
            except Exception as error:
                answer["error"] = f"{type(error).__name__}: {error}"[:500]
            profiler.disable()
            answer["seconds"], answer["cpu"] = time.perf_counter() - began, time.process_time() - used
            if peak is None:
                answer["read_and_count"] = read_and_count(f"{directory}/workdir/optio.log")

    async def main() -> None:
        seen.append(world.event())
        if uri := parameters.get("mongo"):
            answer["database"] = await execute_under_optio(uri, execute)
            return
        ctx = CountingContext(world)
        if parameters.get("stuck"):
            need_attention = ctx.need_attention

            async def attention(reason: str) -> None:
                await need_attention(reason)
                answer["behind"] = time.perf_counter() - began
                seen[0].set()

            ctx.need_attention = attention  # type: ignore[method-assign]
        await execute(ctx)
        answer["calls"], answer["last"] = dict(ctx.calls), ctx.last

    world.run(main)
    if parameters.get("profile"):
        answer["profile"] = _top(profiler, parameters["profile"])
    if peak is not None:
        answer["peak"] = peak.above_idle()
    return answer | counts


def _top(profiler: cProfile.Profile, count: int) -> list[tuple[str, int, float]]:
    """The functions with the most time of their own: name, calls, share of all."""
    stats = pstats.Stats(profiler)
    table: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in table.values())
    ordered = sorted(table.items(), key=lambda item: -item[1][2])[:count]
    return [(_name(*place), row[1], row[2] / total) for place, row in ordered]


def _name(path: str, line: int, function: str) -> str:
    return function if path == "~" else f"{os.path.basename(path)}:{function}"
