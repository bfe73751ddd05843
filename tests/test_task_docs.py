"""docs/tasks.md and docs/scaling.md: their programs run, and what they name exists."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from optio_agents.cli.worker.settings import SETTINGS
from optio_agents.task.lease import LEASE_SECONDS

DOCS = Path(__file__).parent.parent / "docs"


def programs(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def own_task_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIO_AGENTS_TASK_ROOT", str(tmp_path))


def test_the_programs_define_tasks() -> None:
    report, talk, factory = programs("tasks.md")
    names: dict[str, Any] = {}
    exec(compile(report, "docs/tasks.md", "exec", dont_inherit=True), names)
    (task,) = asyncio.run(names["get_tasks"]({}, None))
    assert (task.process_id, task.auto_resume, task.metadata) == ("report", True, {"team": "research"})
    exec(compile(talk, "docs/tasks.md", "exec", dont_inherit=True), names)
    assert names["task"].read_conversation is not None
    exec(compile(factory, "docs/tasks.md", "exec", dont_inherit=True), names)
    task = names["factory"].task_for({"topic": "actors"}, "reports-1")
    assert (task.process_id, task.name) == ("reports-1", "Report")


def test_the_worker_of_your_own_is_a_coroutine_function() -> None:
    (work,) = programs("scaling.md")
    names: dict[str, Any] = {}
    exec(compile(work, "docs/scaling.md", "exec", dont_inherit=True), names)
    assert asyncio.iscoroutinefunction(names["work"])


def test_the_settings_and_the_time_of_the_lease_are_those_of_the_code() -> None:
    text = (DOCS / "scaling.md").read_text()
    variables = {setting.variable for setting in SETTINGS} | {
        "OPTIO_AGENTS_REMOTE_TASK_ROOT",
        "OPTIO_AGENTS_",
    }
    assert set(re.findall(r"OPTIO_AGENTS_[A-Z_]*", text)) <= variables
    assert f"ends {LEASE_SECONDS:g} s after" in text
