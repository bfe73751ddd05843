"""An agent task that is launched with values, through optio-core's `TaskFactory`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from optio_core.models import TaskFactory, TaskInstance

from optio_agents.task import create_agent_task
from tests.optio.test_task import SAY
from tests.support.worker import HANG, Worker, in_worker

pytestmark = pytest.mark.servers


def report(values: dict[str, Any], process_id: str) -> TaskInstance:
    deliver = 'printf "$TOPIC" > deliverables/x; say DELIVERABLE: deliverables/x; read -r reply; say DONE'
    return create_agent_task(process_id, "Report", command=SAY + deliver, env={"TOPIC": values["topic"]})


def test_each_launch_is_a_process_with_its_own_values_and_result(database: str, own_task_root: Any) -> None:
    topic = {"kind": "text", "id": "topic", "label": "Topic", "required": True}
    factory: Any = TaskFactory(
        "reports", "A report", parameters=[topic], task_for=report, ttl_seconds=3600, metadata={"team": "a"}
    )

    async def scenario(worker: Worker) -> None:
        outcome = await worker.optio.launch("reports", session_id=None, params={"topic": "actors"})
        assert outcome.ok, outcome
        process_id = outcome.proc["processId"]
        async with asyncio.timeout(HANG):
            row = await worker.until_state(process_id, "done", "failed")
        assert row["status"]["state"] == "done", row["status"]
        assert row["metadata"]["team"] == "a"
        assert row["result"]["filename"] == "x"
        assert (await worker.blobs(process_id))["deliverables/x"] == b"actors"
        assert list(own_task_root.iterdir()) == []

    in_worker(database, [factory], scenario)
