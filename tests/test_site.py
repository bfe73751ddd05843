"""The pages of the site that no other test covers: their programs run as they stand, and each page can be reached."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optio_agents.cli.main import parse

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = ("start/shell.md", "start/trio.md", "start/asyncio.md", "start/operator.md", "sessions.md")
BIN = Path(sys.executable).parent


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def run(command: list[str], directory: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_program(program: str, directory: Path, **environment: str) -> str:
    script = directory / "program.py"
    script.write_text(program)
    return run([sys.executable, "-W", "error", str(script)], directory, **environment)


@pytest.mark.skipif(not (BIN / "optio-agents").exists(), reason="optio-agents is not installed")
def test_the_shell_session_of_two_minutes_works(tmp_path: Path) -> None:
    script = "set -e\n" + "\n".join(blocks("start/shell.md", "sh"))
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    printed = run(["sh", "-c", script], tmp_path, PATH=path, XDG_STATE_HOME=str(tmp_path / "state"))
    assert "\n42\n" in printed
    assert "deliverable answer.txt: accepted" in printed


@pytest.mark.parametrize("page", ["start/trio.md", "start/asyncio.md"])
def test_the_first_program_ends_well(page: str, tmp_path: Path) -> None:
    (program,) = blocks(page, "python")
    assert run_program(program, tmp_path).splitlines()[-1] == "DONE counted to 42"


def test_the_deliverables_program_saves_one_file_and_tells_of_the_other(tmp_path: Path) -> None:
    program, _ = blocks("sessions.md", "python")
    printed = run_program(program, tmp_path)
    assert (tmp_path / "saved" / "table.csv").read_text() == "name,size\n"
    assert "table.csv True 10" in printed
    assert "rejected:" in printed


def test_the_conversation_program_talks_to_claude(tmp_path: Path) -> None:
    """`claude` is the scripted one here; what it is told is what the page says."""
    _, program = blocks("sessions.md", "python")
    claude = tmp_path / "claude"
    agent = ROOT / "tests" / "support" / "claude_agent.py"
    claude.write_text(f'#!/bin/sh\nexec {sys.executable} {agent} "$@"\n')
    claude.chmod(0o755)
    steps = [["file", "deliverables/haiku.txt", "leaves"], ["log", "DONE: written"]]
    printed = run_program(
        program,
        tmp_path,
        PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        CLAUDE_AGENT_SCRIPT=json.dumps({"Write deliverables/haiku.txt.": steps}),
    )
    assert printed.splitlines()[-1] == "DONE"


async def test_the_tasks_of_the_operator_are_tasks() -> None:
    (program,) = blocks("start/operator.md", "python")
    names: dict[str, Any] = {}
    exec(compile(program, "tasks.py", "exec", dont_inherit=True), names)
    (task,) = await names["get_tasks"]({}, None)
    assert task.process_id == "count-primes"


@pytest.mark.parametrize("page", PAGES)
def test_each_command_that_is_shown_exists(page: str) -> None:
    for command in re.findall(r"^\$ optio-agents (.*)$", (DOCS / page).read_text(), re.MULTILINE):
        parse([word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)])


def test_each_page_is_in_the_index() -> None:
    listed = set(re.findall(r"^[a-z][a-z/-]*$", (DOCS / "index.md").read_text(), re.MULTILINE))
    there = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")} - {"index"}
    assert listed == there


@pytest.mark.parametrize("page", sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")))
def test_each_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (DOCS / page).read_text()):
        assert ((DOCS / page).parent / link).exists(), link
