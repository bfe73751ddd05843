"""Tasks for the tests of a worker's operation: short ones, as many as wanted, and one that ends on demand."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from optio_core.models import TaskInstance

from optio_agents.task import create_agent_task

COUNT = int(os.environ.get("OPTIO_AGENTS_TEST_TASKS", "3"))

if "OPTIO_AGENTS_TEST_SPANS" in os.environ:
    exporter = ConsoleSpanExporter(out=open(os.environ["OPTIO_AGENTS_TEST_SPANS"], "w"))  # noqa: SIM115
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

SHORT = ': > "$RUNNING/$$"; ls "$RUNNING" | wc -l >> "$RUNNING.seen"; sleep ${SECONDS_EACH:-0.2}; '
SHORT += 'rm "$RUNNING/$$"; echo DONE >> optio.log'


def get_tasks(services: Any, metadata_filter: Any) -> list[TaskInstance]:
    """`held` ends when the file `$RELEASE` exists; `short-N` counts how many run with it."""
    held = 'echo STATUS: working >> optio.log; while [ ! -e "$RELEASE" ]; do sleep 0.05; done; echo DONE >> optio.log'
    return [
        create_agent_task("held", "Held", command=held),
        *(create_agent_task(f"short-{n}", f"Short {n}", command=SHORT) for n in range(COUNT)),
    ]
