"""The faults of the user's own module are reported as the user's, with file and line."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.worker.definitions import check_source, checked, find_function


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Writes a module of the user's, and returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"tasks_{abs(hash(request.node.name))}"

    def write(text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\ndef get_tasks(a, b)\n    return []\n", ["line 2", "SyntaxError"]),
        ("x = 1\n\nimport no_such_thing\n", ["line 3", "No module named 'no_such_thing'"]),
        ("raise SystemExit('no licence')\n", ["line 1", "no licence"]),
        ("1 / 0\n", ["line 1", "ZeroDivisionError"]),
    ],
)
def test_a_module_that_cannot_be_imported(module: Any, text: str, told: list[str]) -> None:
    name = module(text)
    with pytest.raises(UsageError) as caught:
        find_function(f"{name}:get_tasks")
    message = caught.value.message
    assert f"{name}.py" in message
    assert all(each in message for each in told)
    assert "definitions.py" not in message
    assert "importlib" not in message


def test_a_function_that_raises_is_shown_with_its_place(module: Any) -> None:
    name = module(
        "from optio_agents import create_agent_task\n"
        "def get_tasks(services, metadata_filter=None):\n"
        "    return [create_agent_task('a', 'A', command='true', descripton='typo')]\n"
    )
    definitions = checked(f"{name}:get_tasks", find_function(f"{name}:get_tasks"))
    with pytest.raises(UsageError) as caught:
        asyncio.run(definitions(None, None))  # type: ignore[arg-type]
    assert "descripton" in caught.value.message
    assert f'{name}.py", line 3' in caught.value.message
    assert "definitions.py" not in caught.value.message


def test_what_is_no_task_is_refused(module: Any) -> None:
    name = module("async def get_tasks(services, metadata_filter=None):\n    return ['a']\n")
    definitions = checked(f"{name}:get_tasks", find_function(f"{name}:get_tasks"))
    with pytest.raises(UsageError, match="returned str among its tasks"):
        asyncio.run(definitions(None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "message"),
    [("def get_tasks(:\n", r"broken_tasks\.py.*line 1"), (None, "there is no module 'broken_tasks'")],
)
def test_a_module_that_cannot_be_parsed_is_named_before_anything_else(
    source: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    if source is not None:
        (tmp_path / "broken_tasks.py").write_text(source)
    with pytest.raises(UsageError, match=message):
        check_source("broken_tasks:get_tasks")
