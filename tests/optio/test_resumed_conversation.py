"""A resumed task goes on with the same conversation: its session, what was queued, and not its first prompt again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from optio_core.models import TaskInstance

from optio_agents import create_agent_task
from optio_agents.conversation.task_streams import conversing
from optio_agents.task.memory import SESSION_BLOB, TRANSCRIPT_BLOB
from optio_agents.task.waiting_messages import BLOB as MESSAGES_BLOB
from tests.optio.test_published_conversation import AGENT
from tests.support.worker import ENDED, HANG, Worker, in_worker

pytestmark = pytest.mark.servers

NOTICE = "System: you have been resumed"


class Talker:
    """A task that talks, and what its agent has been told."""

    def __init__(self, directory: Path, prompt: str, **env: str) -> None:
        self.seen_file = directory / "seen"
        self.prompt = prompt
        self.task: TaskInstance = create_agent_task(
            "talker",
            "Talker",
            taskdir=str(directory / "task"),
            conversation=conversing(AGENT, prompt),
            env={"SEEN": str(self.seen_file), **env},
        )

    def seen(self) -> list[list[str]]:
        if not self.seen_file.exists():
            return []
        return [json.loads(line) for line in self.seen_file.read_text().splitlines()]

    async def until_seen(self, *entry: str) -> None:
        async with asyncio.timeout(HANG):
            while list(entry) not in self.seen():
                await asyncio.sleep(0.02)


async def cancel_with_something_queued(worker: Worker, talker: Talker) -> dict[str, Any]:
    """Launch it, queue two messages behind its first prompt, and cancel it."""
    async with asyncio.timeout(HANG):
        conversation = await worker.optio.launch_and_await_result("talker", session_id=None)
        await talker.until_seen("prompt", talker.prompt)
        await conversation.send("say:later")
        await conversation.send("say:last log:DONE:_enough")
    assert (await worker.optio.cancel("talker")).ok
    row = await worker.until_state("talker", *ENDED)
    assert row["status"]["state"] == "cancelled", row["status"]
    return row


def test_the_session_is_taken_up_and_what_was_queued_is_sent(database: str, tmp_path: Path) -> None:
    talker = Talker(tmp_path, "file:notes hang")

    async def scenario(worker: Worker) -> None:
        await cancel_with_something_queued(worker, talker)
        blobs = await worker.blobs("talker")
        assert json.loads(blobs[SESSION_BLOB]) == {"session": "s", "prompted": True}
        assert json.loads(blobs[MESSAGES_BLOB]) == ["say:later", "say:last log:DONE:_enough"]
        row = await worker.run("talker", resume=True)
        assert row["status"]["state"] == "done", row["status"]
        assert talker.seen() == [
            ["prompt", talker.prompt],
            ["session", "s"],
            ["prompt", NOTICE],
            ["prompt", "say:later"],
            ["prompt", "say:last log:DONE:_enough"],
        ]
        assert not {SESSION_BLOB, TRANSCRIPT_BLOB, MESSAGES_BLOB} & set(await worker.blobs("talker"))

    in_worker(database, [talker.task], scenario, cancel_grace_seconds=20.0)


def test_an_agent_that_cannot_take_up_its_session_is_told_and_gets_what_was_queued(
    database: str, tmp_path: Path
) -> None:
    talker = Talker(tmp_path, "file:notes hang", FORGETFUL="yes")

    async def scenario(worker: Worker) -> None:
        await cancel_with_something_queued(worker, talker)
        await worker.launch("talker", resume=True)
        await worker.until_logged("talker", "could not resume its conversation")
        async with asyncio.timeout(HANG):
            while len(talker.seen()) < 2:
                await asyncio.sleep(0.02)
        kind, text = talker.seen()[1]
        assert kind == "prompt"
        assert text.startswith(f"{NOTICE}, but your earlier conversation could not be resumed")
        assert "no such session" in text
        assert text.endswith(f"This was your task:\n\n{talker.prompt}")
        conversation = worker.optio.get_published_result("talker")
        assert conversation is not None
        assert conversation.queued == ("say:later", "say:last log:DONE:_enough")
        await conversation.interrupt()
        row = await worker.until_state("talker", *ENDED)
        assert row["status"]["state"] == "done", row["status"]

    in_worker(database, [talker.task], scenario, cancel_grace_seconds=20.0)


def test_what_was_said_is_kept_with_each_turn_for_a_worker_that_is_killed(
    database: str, tmp_path: Path
) -> None:
    talker = Talker(tmp_path, "say:hello")

    async def scenario(worker: Worker) -> None:
        await worker.launch("talker")
        async with asyncio.timeout(HANG):
            while b"hello" not in (await worker.blobs("talker")).get(TRANSCRIPT_BLOB, b""):
                await asyncio.sleep(0.02)
        assert await worker.state("talker") == "running"

    in_worker(database, [talker.task], scenario)


def test_what_was_said_can_be_read_while_the_task_is_suspended(database: str, tmp_path: Path) -> None:
    talker = Talker(tmp_path, "say:hello hang")

    async def scenario(worker: Worker) -> None:
        await cancel_with_something_queued(worker, talker)
        from optio_core.conversation_archive import ReadOnlyProcessContext

        row = await worker.row("talker")
        ctx = ReadOnlyProcessContext(worker.optio._detached_context(row))
        assert talker.task.read_conversation is not None
        record = await talker.task.read_conversation(ctx)
        assert isinstance(record, dict)
        numbers = [number for number, _ in record["events"]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert "hello" in json.dumps(record["events"])
        assert record["capturedAt"] is not None

    in_worker(database, [talker.task], scenario, cancel_grace_seconds=20.0)
