"""MongoDB goes away in the middle of a session and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from optio_agents.task import create_agent_task
from tests.support.servers import running_mongo
from tests.support.worker import Worker, in_worker

pytestmark = pytest.mark.servers


def test_a_session_outlives_an_outage_of_the_database(tmp_path: Path) -> None:
    go = tmp_path / "go"
    agent = create_agent_task(
        "agent",
        "Agent",
        command=(
            f"echo STATUS: before >> optio.log; mkfifo {go}; cat {go}; echo STATUS: during >> optio.log; "
            "echo x > deliverables/x; echo DELIVERABLE: deliverables/x >> optio.log; read -r reply; "
            "echo DONE: after >> optio.log"
        ),
    )

    with running_mongo(tmp_path) as mongo:

        async def scenario(worker: Worker) -> None:
            await worker.launch("agent")
            await worker.until_logged("agent", "before")
            mongo.server.stop()
            with go.open("w"):
                pass  # the agent goes on, while nothing of it can be written
            mongo.server.start()
            row = await worker.until_state("agent", "done", "failed", "cancelled")
            assert row["status"]["state"] == "done", row
            assert (await worker.blobs("agent"))["deliverables/x"] == b"x\n"
            assert "after" in await worker.log("agent")

        in_worker(f"{mongo.url}/test_outage", [agent], scenario)
