"""Agents as optio tasks, in a worker on a real MongoDB; every assertion reads the database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from optio_core.exceptions import NoUploadWriter
from optio_core.models import TaskInstance

from optio_agents.session.options import SessionOptions
from optio_agents.task import create_agent_task
from tests.support.worker import ENDED, HANG, Worker, in_worker

pytestmark = pytest.mark.servers

SAY = 'say() { printf "%s\\n" "$*" >> optio.log; }\n'
"""In front of every agent here: one line for the log."""


def is_running(pid: str) -> bool:
    """Whether there is such a process that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def task(process_id: str, script: str, **options: Any) -> TaskInstance:
    return create_agent_task(process_id, process_id.title(), command=SAY + script, **options)


def test_progress_and_deliverables_reach_the_database(database: str) -> None:
    agent = task(
        "writer",
        """
        say "STATUS: 10% reading"
        mkdir -p deliverables/sub; printf 'the report' > deliverables/report.md; printf x > deliverables/sub/other
        say "DELIVERABLE: deliverables/report.md"; read -r reply; say "STATUS: 90% told: $reply"
        say "DELIVERABLE: deliverables/sub/other"; read -r reply
        say "DONE: all written"
        """,
    )

    async def scenario(worker: Worker) -> None:
        row = await worker.run("writer")
        assert row["status"]["state"] == "done", row
        blobs = await worker.blobs("writer")
        assert blobs == {"deliverables/report.md": b"the report", "deliverables/sub/other": b"x"}
        log = await worker.log("writer")
        assert "reading" in log
        assert "all written" in log
        assert any(line.startswith("told: System: deliverable report.md: accepted") for line in log)

    in_worker(database, [agent], scenario)


def test_a_callback_takes_the_deliverables_instead(database: str) -> None:
    taken: list[tuple[str, str]] = []

    async def on_deliverable(hook_context: Any, path: str, text: str) -> None:
        taken.append((path, text))

    agent = task(
        "writer",
        "printf hello > deliverables/a.txt; say DELIVERABLE: deliverables/a.txt; read -r reply; say DONE",
        on_deliverable=on_deliverable,
    )

    async def scenario(worker: Worker) -> None:
        assert (await worker.run("writer"))["status"]["state"] == "done"
        assert await worker.blobs("writer") == {}

    in_worker(database, [agent], scenario)
    assert taken == [("a.txt", "hello")]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("say ERROR: no money left", "no money left"),
        ("echo what went wrong >&2; exit 3", "ended with exit status 3: what went wrong"),
        ("say STATUS: fine", "before DONE"),
    ],
)
def test_a_failure_is_failed_with_its_reason(database: str, script: str, reason: str) -> None:
    async def scenario(worker: Worker) -> None:
        row = await worker.run("agent")
        assert row["status"]["state"] == "failed"
        assert reason in row["status"]["error"]

    in_worker(database, [task("agent", script)], scenario)


def test_cancelled_is_cancelled_and_nothing_of_the_agent_survives(database: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    agent = task(
        "agent",
        """
        trap '' TERM
        (setsid sh -c 'trap "" TERM; echo $$ >> "$PIDS"; while :; do sleep 1000; done' &)
        echo $$ >> "$PIDS"
        say STATUS: at work; while :; do sleep 1000; done
        """,
        environment={"PIDS": str(pids)},
    )

    async def scenario(worker: Worker) -> None:
        await worker.launch("agent")
        await worker.until_logged("agent", "at work")
        while not pids.exists() or len(pids.read_text().split()) < 2:
            await asyncio.sleep(0.01)
        assert (await worker.optio.cancel("agent")).ok
        row = await worker.until_state("agent", "cancelled", "failed", "done")
        assert row["status"]["state"] == "cancelled"
        assert [pid for pid in pids.read_text().split() if is_running(pid)] == []

    in_worker(database, [agent], scenario)


def test_cancelled_while_a_callback_ignores_it_is_cancelled(database: str) -> None:
    released = asyncio.Event()

    async def stubborn(hook_context: Any, path: str, text: str) -> None:
        while not released.is_set():
            try:
                await asyncio.wait_for(released.wait(), HANG)
            except asyncio.CancelledError:
                continue

    agent = task(
        "agent",
        "echo x > deliverables/x; say DELIVERABLE: deliverables/x; sleep 1000",
        on_deliverable=stubborn,
        options=SessionOptions(cancel_grace=0.2),
    )

    async def scenario(worker: Worker) -> None:
        await worker.launch("agent")
        await worker.until_logged("agent", "Deliverable: x")
        assert (await worker.optio.cancel("agent")).ok
        row = await worker.until_state("agent", "cancelled", "failed", "done")
        assert row["status"]["state"] == "cancelled"
        assert any("on_deliverable" in line and "abandoned" in line for line in await worker.log("agent"))
        released.set()

    in_worker(database, [agent], scenario)


def test_a_cancelled_run_is_saved_and_ends_within_the_grace_whatever_its_hook_does(database: str) -> None:
    events: list[str] = []

    async def never_ends(hook_context: Any) -> None:
        events.append("hook")
        await asyncio.sleep(HANG)

    agent = task("agent", "echo mine > notes; say STATUS: at work; sleep 1000", after_execute=never_ends)

    async def scenario(worker: Worker) -> None:
        await worker.launch("agent")
        await worker.until_logged("agent", "at work")
        assert (await worker.optio.cancel("agent")).ok
        row = await worker.until_state("agent", *ENDED)
        assert row["status"]["state"] == "cancelled", row["status"]
        assert row["hasSavedState"] is True
        assert row["hasUnsavedWork"] is False
        assert events == ["hook"]
        assert any("after_execute was cut off" in line for line in await worker.log("agent"))

    in_worker(database, [agent], scenario, cancel_grace_seconds=15.0)


def test_work_that_cannot_be_saved_within_the_grace_is_resurrected(
    database: str, own_task_root: Path
) -> None:
    agent = task(
        "agent",
        """
        if [ -e notes ]; then read -r told; say "STATUS: found $(cat notes), told: $told"; say DONE; sleep 1000; fi
        echo mine > notes; head -c 100000000 /dev/urandom > much; say STATUS: at work; sleep 1000
        """,
    )

    async def scenario(worker: Worker) -> None:
        await worker.launch("agent")
        await worker.until_logged("agent", "at work")
        assert (await worker.optio.cancel("agent")).ok
        row = await worker.until_state("agent", *ENDED)
        assert row["status"]["state"] == "cancelled", row["status"]
        assert row["hasSavedState"] is False
        assert row["hasUnsavedWork"] is True
        assert any("could not be saved" in line for line in await worker.log("agent"))
        assert (own_task_root / "agent" / "workdir" / "notes").read_text() == "mine\n"

        assert (await worker.optio.resurrect("agent", session_id=None)).ok
        await worker.until_logged("agent", "found mine, told: System: you have been resumed")
        row = await worker.until_state("agent", *ENDED)
        assert row["status"]["state"] == "done", row["status"]
        assert not (own_task_root / "agent").exists()

    # No machine compresses 100 MB in a fifth of a second.
    in_worker(database, [agent], scenario, cancel_grace_seconds=0.5)


def test_a_resumed_agent_finds_its_work_and_is_told(database: str) -> None:
    agent = task(
        "agent",
        """
        if [ -e notes ]; then
            read -r told; say "STATUS: found $(cat notes), told: $told"; say DONE
        else
            echo "my notes" > notes; say "DONE-NOT-YET"; say STATUS: waiting; sleep 1000
        fi
        """,
    )

    async def scenario(worker: Worker) -> None:
        await worker.launch("agent")
        await worker.until_logged("agent", "waiting")
        await worker.optio.cancel("agent")
        row = await worker.until_state("agent", "cancelled", "failed", "done")
        assert row["status"]["state"] == "cancelled"
        assert row["hasSavedState"] is True
        row = await worker.run("agent", resume=True)
        assert row["status"]["state"] == "done", row
        assert "found my notes, told: System: you have been resumed" in await worker.log("agent")
        assert row["hasSavedState"] is False
        assert await worker.blobs("agent") == {}

    in_worker(database, [agent], scenario)


def test_a_failed_run_can_be_resumed(database: str) -> None:
    agent = task(
        "agent", "if [ -e notes ]; then say DONE; else echo x > notes; say ERROR: first time; sleep 9; fi"
    )

    async def scenario(worker: Worker) -> None:
        row = await worker.run("agent")
        assert row["status"]["state"] == "failed"
        row = await worker.run("agent", resume=True)
        assert row["status"]["state"] == "done", row

    in_worker(database, [agent], scenario)


def test_a_user_uploads_a_file_to_a_running_agent(database: str) -> None:
    agent = task(
        "agent",
        """
        say STATUS: ready; read -r told; say "STATUS: told: $told, which holds $(cat uploads/a.txt)"; say DONE
        sleep 1000
        """,
        uploads=True,
    )

    async def scenario(worker: Worker) -> None:
        await worker.launch("agent")
        await worker.until_logged("agent", "ready")
        assert await worker.optio.materialize_upload("agent", b"some words", "a.txt") == "uploads/a.txt"
        row = await worker.until_state("agent", *ENDED)
        assert row["status"]["state"] == "done", row["status"]
        told = "System: the user has uploaded a file for you: ./uploads/a.txt"
        assert f"told: {told}, which holds some words" in await worker.log("agent")
        with pytest.raises(NoUploadWriter):
            await worker.optio.materialize_upload("agent", b"late", "b.txt")

    in_worker(database, [agent], scenario)


def test_two_hundred_sessions_in_one_worker(database: str) -> None:
    ids = [f"agent-{number}" for number in range(200)]
    script = "echo $0 > deliverables/x; say DELIVERABLE: deliverables/x; read -r reply; say DONE"

    async def scenario(worker: Worker) -> None:
        for process_id in ids:
            await worker.launch(process_id)
        for process_id in ids:
            row = await worker.until_state(process_id, "done", "failed", "cancelled")
            assert row["status"]["state"] == "done", row

    in_worker(database, [task(process_id, script) for process_id in ids], scenario)
