"""MongoDB goes away in every phase of a task and comes back: nothing is lost, and no agent is left."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from optio_core.models import TaskInstance

from optio_agents.conversation.task_streams import conversing
from optio_agents.task import create_agent_task
from optio_agents.task.memory import SESSION_BLOB
from tests.optio.test_published_conversation import AGENT
from tests.optio.test_task import SAY, is_running
from tests.support.servers import Mongo, running_mongo
from tests.support.worker import ENDED, HANG, Worker, in_worker

pytestmark = pytest.mark.servers

SECONDS = float(os.environ.get("OPTIO_AGENTS_TEST_OUTAGE", "0"))
"""How long an outage lasts beyond the server's own end and start."""

PHASES = ("preparing", "running", "delivering", "saving", "ending")


@contextmanager
def stopped(mongo: Mongo) -> Iterator[None]:
    """The server ends in order, and is started again on its files."""
    mongo.server.stop(signal.SIGTERM)
    yield
    mongo.server.start()


@contextmanager
def frozen(mongo: Mongo) -> Iterator[None]:
    """The server stands still: connections stay open, and nothing is answered."""
    os.kill(mongo.server.pid, signal.SIGSTOP)
    yield
    os.kill(mongo.server.pid, signal.SIGCONT)


def staying(phase: str, go: Path) -> TaskInstance:
    """A task that stays in `phase` until `go` exists; its agent delivers, or fails and is done when it is resumed."""

    async def stay(hook_context: Any) -> None:
        hook_context.report_progress(None, f"phase {phase}")
        while not go.exists():
            await asyncio.sleep(0.02)

    async def prepare(host: Any, hook_context: Any) -> None:
        await stay(hook_context)

    hooks: dict[str, Any] = {"preparing": {"prepare": prepare}, "ending": {"after_execute": stay}}
    big = "head -c 40000000 /dev/urandom"
    deliver = "say DELIVERABLE: deliverables/x; read -r reply"
    acts = {
        "running": f"""
            say STATUS: phase running; while [ ! -e {go} ]; do sleep 0.05; done
            say STATUS: phase running is over; echo running > deliverables/x; {deliver}; say DONE
        """,
        "delivering": f"{big} > deliverables/x; {deliver}; say DONE",
        "saving": f"{big} > much; say ERROR: this far",
    }
    script = f"""
        echo $$ >> {go.parent}/pids
        if [ -e notes ]; then say "STATUS: found $(cat notes)"; say DONE; sleep 1000; fi
        echo "notes of {phase}" > notes
        {acts.get(phase, f"echo {phase} > deliverables/x; {deliver}; say DONE")}; sleep 1000
    """
    return create_agent_task(phase, phase.title(), command=SAY + script, **hooks.get(phase, {}))


async def until_in_their_phases(worker: Worker) -> None:
    """Wait until each of them is where it stays; of what two store, a part is in the database."""
    for phase in ("preparing", "running", "ending"):
        await worker.until_logged(phase, f"phase {phase}")
    async with asyncio.timeout(HANG):
        while await worker.database["fs.chunks"].count_documents({}) < 8:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("outage", [stopped, frozen] if SECONDS else [stopped])
def test_an_outage_of_the_database_in_any_phase_loses_nothing(
    tmp_path: Path, own_task_root: Path, outage: Any
) -> None:
    go = tmp_path / "go"

    with running_mongo(tmp_path) as mongo:

        async def scenario(worker: Worker) -> None:
            for phase in PHASES:
                await worker.launch(phase)
            await until_in_their_phases(worker)
            with outage(mongo):
                go.touch()  # they go on, while nothing of it can be written
                await asyncio.sleep(SECONDS)
            for phase in PHASES:
                row = await worker.until_state(phase, *ENDED)
                expected = "failed" if phase == "saving" else "done"
                assert row["status"]["state"] == expected, (phase, row["status"], await worker.log(phase))
                if phase in ("preparing", "running", "ending"):
                    assert (await worker.blobs(phase))["deliverables/x"] == f"{phase}\n".encode()
            assert len((await worker.blobs("delivering"))["deliverables/x"]) == 40_000_000
            assert "phase running is over" in await worker.log("running")
            assert (await worker.row("saving"))["hasSavedState"], await worker.log("saving")
            row = await worker.run("saving", resume=True)
            assert row["status"]["state"] == "done", row["status"]
            assert "found notes of saving" in await worker.log("saving")
            assert [pid for pid in (tmp_path / "pids").read_text().split() if is_running(pid)] == []
            assert [path.name for path in own_task_root.iterdir()] == []

        tasks = [staying(phase, go) for phase in PHASES]
        in_worker(f"{mongo.url}/test_outage", tasks, scenario, force_cancel_shield_seconds=20.0)


def test_a_conversation_that_begins_during_an_outage_is_shown_and_kept(tmp_path: Path) -> None:
    go, reached = tmp_path / "go", tmp_path / "reached"

    async def before_execute(hook_context: Any) -> None:
        reached.touch()
        while not go.exists():
            await asyncio.sleep(0.02)

    talker = create_agent_task(
        "talker",
        "Talker",
        conversation=conversing(AGENT, "say:hello hang", web=True),
        before_execute=before_execute,
        env={"SEEN": str(tmp_path / "seen")},
    )

    with running_mongo(tmp_path) as mongo:

        async def scenario(worker: Worker) -> None:
            await worker.launch("talker")
            async with asyncio.timeout(HANG):
                while not reached.exists():
                    await asyncio.sleep(0.02)
                with stopped(mongo):
                    go.touch()
                    await asyncio.sleep(SECONDS)
                while SESSION_BLOB not in await worker.blobs("talker"):
                    await asyncio.sleep(0.02)
                assert (await worker.row("talker"))["widgetUpstream"] is not None
            assert (await worker.optio.cancel("talker")).ok
            row = await worker.until_state("talker", *ENDED)
            assert (row["status"]["state"], row["hasSavedState"]) == ("cancelled", True), row["status"]

        in_worker(f"{mongo.url}/test_outage", [talker], scenario, cancel_grace_seconds=20.0)
