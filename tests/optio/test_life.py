"""A task's life over and over: cancelled with a slow hook and launched again at once; workers side by side."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from optio_agents.task import create_agent_task
from tests.optio.test_task import SAY
from tests.support.servers import running_mongo
from tests.support.worker import ENDED, HANG, Worker, in_worker, running_worker

pytestmark = pytest.mark.servers

CANCELS = int(os.environ.get("OPTIO_AGENTS_TEST_CANCELS", "4"))
TASKS = int(os.environ.get("OPTIO_AGENTS_TEST_TASKS", "20"))
OUTAGE_SECONDS = float(os.environ.get("OPTIO_AGENTS_TEST_OUTAGE", "0"))

GRACE = 5.0


def test_cancelled_with_a_slow_hook_and_launched_again_at_once(database: str, own_task_root: Path) -> None:
    async def slow(hook_context: Any) -> None:
        await asyncio.sleep(HANG)

    agent = create_agent_task(
        "agent",
        "Agent",
        command="echo $PPID >> own; echo STATUS: at work >> optio.log; while :; do sleep 1000; done",
        after_execute=slow,
    )
    durations: list[float] = []

    async def scenario(worker: Worker) -> None:
        for _ in range(CANCELS):
            await worker.launch("agent")
            await worker.until_logged("agent", "at work")
            own = (own_task_root / "agent" / "workdir" / "own").read_text().split()
            assert len(own) == 1, "this run works in the directory of another one"
            began = time.monotonic()
            assert (await worker.optio.cancel("agent")).ok
            row = await worker.until_state("agent", *ENDED)
            durations.append(time.monotonic() - began)
            assert row["status"]["state"] == "cancelled", row["status"]
            assert row["hasSavedState"], row
        assert not (own_task_root / "agent").exists()

    in_worker(database, [agent], scenario, cancel_grace_seconds=GRACE, force_cancel_shield_seconds=20.0)
    print(f"{CANCELS} cancels took {min(durations):.1f} to {max(durations):.1f} s each")


def test_workers_of_two_prefixes_side_by_side(database: str, tmp_path: Path) -> None:
    script = SAY + "echo $0 > deliverables/x; say DELIVERABLE: deliverables/x; read -r reply; say DONE"

    def tasks(prefix: str) -> list[Any]:
        return [
            create_agent_task(
                f"t{number}",
                f"{prefix} {number}",
                command=script,
                taskdir=str(tmp_path / prefix / f"t{number}"),
            )
            for number in range(TASKS)
        ]

    async def work(worker: Worker) -> None:
        for number in range(TASKS):
            await worker.launch(f"t{number}")
        for number in range(TASKS):
            row = await worker.until_state(f"t{number}", *ENDED)
            assert row["status"]["state"] == "done", row["status"]
            assert row["progress"]["percent"] == 100.0
            assert row["result"]["filename"] == "x"

    async def program() -> None:
        async with (
            running_worker(database, tasks("one"), prefix="one", drop=False) as one,
            running_worker(database, tasks("two"), prefix="two") as two,
        ):
            await asyncio.gather(work(one), work(two))

    asyncio.run(program())


def test_cancelled_while_the_database_is_away_the_work_is_kept_on_its_host(
    tmp_path: Path, own_task_root: Path
) -> None:
    agent = create_agent_task(
        "agent",
        "Agent",
        command=SAY
        + """
            if [ -e notes ]; then read -r told; say "STATUS: found $(cat notes)"; say DONE; sleep 1000; fi
            echo mine > notes; say STATUS: at work; sleep 1000
        """,
    )
    notes = own_task_root / "agent" / "workdir" / "notes"

    with running_mongo(tmp_path) as mongo:

        async def scenario(worker: Worker) -> None:
            await worker.launch("agent")
            await worker.until_logged("agent", "at work")
            oid = (await worker.row("agent"))["_id"]
            mongo.server.stop()
            # What `Optio.cancel` does, after its write into the database.
            assert worker.optio._executor is not None
            worker.optio._executor.request_cancel_with_deadline(oid, time.monotonic() + GRACE)
            await asyncio.sleep(OUTAGE_SECONDS)
            mongo.server.start()
            row = await worker.until_state("agent", *ENDED)
            if row["hasSavedState"]:
                await worker.launch("agent", resume=True)
            else:
                assert notes.read_text() == "mine\n"
                assert (await worker.optio.resurrect("agent", session_id=None)).ok
            await worker.until_logged("agent", "found mine")
            row = await worker.until_state("agent", "done")

        in_worker(f"{mongo.url}/test_away", [agent], scenario, force_cancel_shield_seconds=20.0)
