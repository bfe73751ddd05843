"""The tasks of the worker process in `test_worker`."""

from __future__ import annotations

from typing import Any

from optio_core.models import TaskInstance

from optio_agents.task import create_agent_task


def get_tasks(services: Any, metadata_filter: Any) -> list[TaskInstance]:
    """One that ends, one that does not."""
    quick = "echo hello > deliverables/hello; echo DELIVERABLE: deliverables/hello >> optio.log"
    return [
        create_agent_task("quick", "Quick", command=f"{quick}; read -r reply; echo DONE >> optio.log"),
        create_agent_task(
            "slow",
            "Slow",
            command="echo $$ > ../pid; echo STATUS: working >> optio.log; while :; do sleep 1000; done",
        ),
    ]
