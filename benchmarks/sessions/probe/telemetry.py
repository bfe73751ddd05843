"""What telemetry costs: short sessions without an instrument and with the real SDK, taking turns in one process.

Parameters: `world`, `count` (sessions in a turn), `turns`, `lines` (before DONE, per session).
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from benchmarks.sessions.probe.contexts import CountingContext
from benchmarks.sessions.probe.sessions import append, run_session, task_directory
from benchmarks.sessions.probe.worlds import open_world

LOOKS = 1_000_000


def measure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Answer the seconds of each turn, off and on, and of one look for an instrument."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from optio_agents.session.instrumentation import installed
    from optio_agents.telemetry import instrument_sessions

    world = open_world(parameters["world"])
    log = b"STATUS: 1% step\n" * parameters["lines"] + b"DONE\n"
    exporter = InMemorySpanExporter()
    tracers, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    numbers = itertools.count()
    seconds: dict[str, list[float]] = {"off": [], "on": []}

    async def body(host: Any) -> None:
        append(host, log)
        await world.forever()

    async def turn() -> float:
        began = time.perf_counter()
        for _ in range(parameters["count"]):
            await run_session(world, f"{directory}/{next(numbers)}", CountingContext(world), body)
        return time.perf_counter() - began

    async def main() -> None:
        await turn()
        for _ in range(parameters["turns"]):
            seconds["off"].append(await turn())
            detach = instrument_sessions(tracer_provider=tracers, meter_provider=meters)
            try:
                seconds["on"].append(await turn())
            finally:
                detach()
            exporter.clear()

    with task_directory(None) as directory:
        world.run(main)
    began = time.perf_counter()
    for _ in range(LOOKS):
        installed()
    look = (time.perf_counter() - began) / LOOKS
    return {**seconds, "look": look, "count": parameters["count"]}
