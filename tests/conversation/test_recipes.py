"""The programs of the documents: each recipe runs, and both type checkers accept them all as they stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.conversation import claude
from tests.actors.test_typing import pyright

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "tests" / "support" / "claude_agent.py"
TYPE_CHECKED = ("docs/recipes.md", "docs/conversation.md")
Recipe = Callable[..., Awaitable[None]]


def programs(document: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def recipe(name: str) -> Recipe:
    """The function of that name."""
    (program,) = (each for each in programs("docs/recipes.md") if f"async def {name}(agent" in each)
    names: dict[str, Any] = {}
    exec(compile(program, "docs/recipes.md", "exec", dont_inherit=True), names)
    found: Recipe = names[name]
    return found


SCRIPT: dict[str, list[list[Any]]] = {
    "Describe this project.": [["tool", "Read", {}], ["stream", "It is ", "small."]],
    "Clean up.": [["ask", "Bash", {"command": "rm -r /"}]],
    "Set up a database.": [["question"]],
    "Think for a long time.": [["hang"]],
    "What have you found so far?": [["text", "nothing"]],
    "Write the parser.": [["text", "written"]],
    "Then write its tests.": [["text", "tested"]],
    "How many beds has Abisko?": [["call", "optio", "beds", {"hut": "Abisko"}]],
    "Review the last commit.": [["answer", {"verdict": "fine", "risks": ["none"]}]],
    "What is wrong on this page?": [["text", "it is red"]],
    "Where were we?": [["text", "here"]],
}
PRINTED = {
    "show": "[Read]\nIt is small.",
    "guard": "nothing is removed here",
    "advise": "Postgres",
    "limited": "nothing",
    "more": "answered written\nanswered tested",
    "functions": '{"result":84}',
    "review": "fine none",
    "look": "it is red",
    "go_on": "here",
    "count": "completed",
}


@pytest.mark.parametrize("name", PRINTED)
async def test_each_recipe_runs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    agent = claude([sys.executable, str(AGENT)])
    agent = replace(agent, environment={"CLAUDE_AGENT_SCRIPT": json.dumps(SCRIPT)})
    with trio.fail_after(60):
        await recipe(name)(agent, str(tmp_path))
    assert PRINTED[name] in capsys.readouterr().out


def test_there_are_ten() -> None:
    assert len(programs("docs/recipes.md")) == len(PRINTED) == 10


@pytest.mark.slow
def test_both_checkers_accept_the_programs_of_the_documents(tmp_path: Path) -> None:
    paths = []
    for document in TYPE_CHECKED:
        for number, program in enumerate(programs(document)):
            paths.append(tmp_path / f"{Path(document).stem}_{number}.py")
            paths[-1].write_text(program)
    # With the project's settings, which are strict, and so with its cache.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    for path in paths:
        assert pyright(tmp_path, path) == []
