"""A task's conversation in the dashboard: what the record says, and what the proxy reaches."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from optio_agents import create_agent_task
from optio_agents.conversation import claude
from optio_agents.conversation.task_streams import WebOptions, conversing
from tests.support.worker import HANG, Worker, in_worker

pytestmark = [
    pytest.mark.servers,
    # httpx leaves the generators beneath a stream to the garbage collector.
    pytest.mark.filterwarnings("ignore:Async generator 'http(x|core)"),
]

AGENT = Path(__file__).parents[1] / "support" / "claude_agent.py"


def task(tmp_path: Path, prompt: Any, **web: Any) -> Any:
    agent = claude([sys.executable, str(AGENT)])
    return create_agent_task(
        "shown",
        "Shown",
        taskdir=str(tmp_path / "task"),
        conversation=conversing(agent, json.dumps(prompt), web=WebOptions(**web)),
        uploads=True,
    )


async def until_shown(worker: Worker) -> dict[str, Any]:
    """The record, once it has all that the dashboard needs."""
    async with asyncio.timeout(HANG):
        while True:
            row = await worker.row("shown")
            if row.get("widgetUpstream") and (row.get("widgetData") or {}).get("protocol"):
                return row
            await asyncio.sleep(0.02)


def proxy(row: dict[str, Any]) -> httpx.AsyncClient:
    """A client as the dashboard's proxy is one."""
    upstream = row["widgetUpstream"]
    assert upstream["innerAuth"]["kind"] == "basic"
    auth = (upstream["innerAuth"]["username"], upstream["innerAuth"]["password"])
    return httpx.AsyncClient(base_url=upstream["url"], auth=auth, timeout=HANG)


async def until_event(lines: Any, kind: str) -> dict[str, Any]:
    async for line in lines:
        if line.startswith("data: "):
            event: dict[str, Any] = json.loads(line[6:])
            if event.get("type") == kind:
                return event
    raise AssertionError(f"the stream ended without {kind}")


def test_the_dashboard_shows_and_decides_and_sends(database: str, tmp_path: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.launch("shown")
        row = await until_shown(worker)
        assert row["uiWidget"] == "conversation"
        data = row["widgetData"]
        assert (data["protocol"], data["toolVerbosity"]) == ("claudecode", "verbose")
        assert data["showFileUpload"]
        assert str(row["_id"]) in data["uploadUrl"]
        async with proxy(row) as dashboard, dashboard.stream("GET", "events") as stream:
            lines = stream.aiter_lines()
            asked = await until_event(lines, "control_request")
            body = {"request_id": asked["request_id"], "behavior": "allow"}
            assert (await dashboard.post("permission", json=body)).json() == {"ok": True}
            await until_event(lines, "result")
            text = json.dumps([["log", "DONE: well"]])
            assert (await dashboard.post("send", json={"text": text})).json()["ok"]
            # The agent says the message again: this is how the dashboard shows what was typed elsewhere.
            taken = await until_event(lines, "user")
            assert taken["message"]["content"][0]["text"] == text
        row = await worker.until_state("shown", "done")
        assert row["widgetUpstream"] is None
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient().get(dashboard.base_url)

    asking = [["ask", "Bash", {"command": "make"}]]
    in_worker(database, [task(tmp_path, asking, tools="verbose")], scenario)


def test_the_dashboard_shows_the_controls_and_sets_them(database: str, tmp_path: Path) -> None:
    async def until_effort(worker: Worker, value: str) -> dict[str, Any]:
        async with asyncio.timeout(HANG):
            while True:
                data = (await worker.row("shown")).get("widgetData") or {}
                controls = {control["id"]: control for control in data.get("controls", [])}
                if controls and controls["reasoning_effort"]["value"] == value:
                    assert data["showSessionControls"]
                    return controls
                await asyncio.sleep(0.02)

    async def scenario(worker: Worker) -> None:
        await worker.launch("shown")
        row = await until_shown(worker)
        controls = await until_effort(worker, "low")
        assert list(controls) == ["model", "reasoning_effort"]
        assert [option["value"] for option in controls["model"]["options"]] == ["default", "small"]
        async with proxy(row) as dashboard:
            body = {"id": "reasoning_effort", "value": "high"}
            assert (await dashboard.post("control", json=body)).json() == {"ok": True}
            await until_effort(worker, "high")
            refused = await dashboard.post("control", json={"id": "permission_mode", "value": "plan"})
            assert (refused.status_code, refused.json()["reason"]) == (403, "not-allowed")
        await worker.optio.cancel("shown")
        await worker.until_state("shown", "cancelled")

    in_worker(database, [task(tmp_path, [["hang"]], controls=("model", "reasoning_effort"))], scenario)


def test_a_cancelled_task_ends_in_time_beside_a_viewer_that_does_not_read(
    database: str, tmp_path: Path
) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.launch("shown")
        async with proxy(await until_shown(worker)) as dashboard, dashboard.stream("GET", "events"):
            await worker.optio.cancel("shown")
            row = await worker.until_state("shown", "cancelled")
        assert row["widgetUpstream"] is None

    in_worker(database, [task(tmp_path, [["flood", 5_000], ["hang"]])], scenario)


def test_a_resumed_task_shows_what_was_said_before_and_keeps_its_checklist(
    database: str, tmp_path: Path
) -> None:
    todos = [{"content": "a", "status": "in_progress", "activeForm": "a"}]

    async def scenario(worker: Worker) -> None:
        await worker.launch("shown")
        first = await until_shown(worker)
        async with asyncio.timeout(HANG):
            while "todos" not in (await worker.row("shown"))["widgetData"]:
                await asyncio.sleep(0.02)
        await worker.optio.cancel("shown")
        await worker.until_state("shown", "cancelled")
        await worker.launch("shown", resume=True)
        again = await until_shown(worker)
        assert again["widgetUpstream"] != first["widgetUpstream"]
        assert [each["text"] for each in again["widgetData"]["todos"]] == ["a"]
        async with proxy(again) as dashboard, dashboard.stream("GET", "events") as stream:
            lines = stream.aiter_lines()
            said = await until_event(lines, "assistant")
            assert said["message"]["content"][0]["text"] == "this is what I said"
            await until_event(lines, "x-optio-resumed")
        await worker.optio.cancel("shown")
        await worker.until_state("shown", "cancelled")

    prompt = [["text", "this is what I said"], ["tool", "TodoWrite", {"todos": todos}], ["hang"]]
    in_worker(database, [task(tmp_path, prompt)], scenario, cancel_grace_seconds=60.0)
