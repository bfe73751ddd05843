"""The agent package of the guide, at work in a real worker."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from optio_agents import seeds
from tests.support.worker import ENDED, HANG, PREFIX, Worker, in_worker

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "agent-package.md").read_text()
AGENT = shlex.join([sys.executable, str(ROOT / "tests" / "support" / "acp_agent.py")])


@pytest.fixture
def scribe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The guide's first program, imported."""
    [program, *_] = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    path = tmp_path / "scribe.py"
    path.write_text(program)
    spec = importlib.util.spec_from_file_location("scribe", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "scribe", module)
    spec.loader.exec_module(module)
    return module


def test_the_package_s_task_delivers_takes_an_upload_saves_a_seed_and_ends(
    scribe: Any, database: str, tmp_path: Path
) -> None:
    delivered: list[tuple[str, str]] = []

    async def on_deliverable(hook_ctx: Any, path: str, text: str) -> None:
        delivered.append((path, text))

    config = scribe.ScribeTaskConfig(
        command=AGENT,
        consumer_instructions="todo:read=completed,write=in_progress file:home/.scribe file:deliverables/a.txt",
        fs_isolation=False,
        show_session_controls=True,
        session_controls=["permission_mode"],
        save_seed=True,
        on_deliverable=on_deliverable,
    )
    task = scribe.create_scribe_task("scribe", "Scribe", config, str(tmp_path / "tasks"))
    workdir = tmp_path / "tasks" / "scribe" / "workdir"

    async def scenario(worker: Worker) -> None:
        async with asyncio.timeout(HANG):
            conversation = await worker.optio.launch_and_await_result("scribe", session_id=None)
            while not (stored := await list_seeds(worker)):
                await asyncio.sleep(0.02)
            path = await worker.optio._upload_writers[(await worker.row("scribe"))["_id"]]("b.txt", b"hello")
            assert (workdir / path).read_bytes() == b"hello"
            while not (data := (await worker.row("scribe"))["widgetData"]).get("todos"):
                await asyncio.sleep(0.02)
            assert [(control["id"], control["value"]) for control in data["controls"]] == [
                ("permission_mode", "ask")
            ]
            assert await conversation.set_control("permission_mode", "plan")
            assert [(row["text"], row["status"]) for row in data["todos"]] == [
                ("read", "completed"),
                ("write", "in_progress"),
            ]
            assert "## Task" in (workdir / "AGENTS.md").read_text()
            await conversation.send("log:DELIVERABLE:_deliverables/a.txt log:DONE:_enough")
        assert (await worker.until_state("scribe", *ENDED))["status"]["state"] == "done"
        assert len(stored) == 1

    async def list_seeds(worker: Worker) -> list[dict[str, Any]]:
        return await seeds.list_seeds(worker.database, prefix=PREFIX, suffix=scribe.SEED_SUFFIX)

    in_worker(database, [task], scenario)
    assert [path for path, _ in delivered] == ["a.txt"]


def test_a_config_that_cannot_work_is_refused(scribe: Any) -> None:
    with pytest.raises(ValueError, match="delivery_type"):
        scribe.ScribeTaskConfig(command="x", consumer_instructions="x")


def test_the_other_programs_are_valid() -> None:
    for program in re.findall(r"^ *```python\n(.*?)^ *```", GUIDE, re.DOTALL | re.MULTILINE)[1:]:
        compile("\n".join(line.removeprefix("  ") for line in program.splitlines()), "guide", "exec")
