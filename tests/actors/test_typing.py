"""Wrong messages and wrong arguments are type errors, and right ones are not; for mypy and for pyright."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors import api
from actors.testing import run_seeded
from tests.support import every_public_name

ROOT = Path(__file__).parents[2]

SAMPLE = """\
from __future__ import annotations
from collections.abc import Callable
from dataclasses import dataclass
import actors

@dataclass
class Get:
    key: str
    reply: actors.Reply[int]

@dataclass
class Ping:
    reply: actors.Reply[str]

async def store(me: actors.Me[Get | Ping], path: str, *, limit: int = 3) -> None:
    async for message in me:
        if isinstance(message, Get):
            message.reply.set(limit)
        else:
            message.reply.set(path)

async def misreply(me: actors.Me[Ping]) -> None:
    async for ping in me:
        ping.reply.set(3)  # error: arg-type

async def right(supervisor: actors.Supervisor) -> str:
    ref = await supervisor.start(actors.actor(store, "/tmp", limit=4), restart=actors.PERMANENT)
    narrower: actors.Ref[Ping] = ref
    await narrower.ask(Ping, timeout=1)
    number: int = await ref.ask(lambda reply: Get("k", reply), timeout=1)
    return f"{number}" + await ref.ask(Ping, timeout=1)

async def wrong(supervisor: actors.Supervisor, other: actors.Ref[Ping]) -> None:
    actors.actor(store)  # error: call-arg
    actors.actor(store, 5)  # error: arg-type
    actors.actor(store, "/tmp", limt=4)  # error: call-arg
    ref = await supervisor.start(actors.actor(store, "/tmp"))
    await ref.tell("text")  # error: arg-type
    ref.try_tell(3)  # error: arg-type
    wider: actors.Ref[Get | Ping | int] = ref  # error: assignment
    number: int = await ref.ask(Ping, timeout=1)  # error: arg-type
    await ref.ask(Ping)  # error: call-arg

@dataclass(frozen=True)
class Size(actors.Question[int]):
    path: str

@dataclass(frozen=True)
class Other(actors.Question[int]):
    pass

async def asks(ref: actors.Ref[Size | str]) -> None:
    size = await ref.ask(Size("a"), timeout=1)
    size.bit_length()
    size.upper()  # error: attr-defined
    text: str = await ref.ask(Size("a"), timeout=1)  # error: arg-type
    await ref.ask(Other(), timeout=1)  # error: arg-type

async def answers(me: actors.Me[Size | str]) -> None:
    me.timers.start("k", 1.0, "a str")
    me.timers.start("k", 1.0, 42)  # error: arg-type
    async for message in me:
        match message:
            case Size(path, reply=reply):
                reply.set(len(path))
                reply.set(path)  # error: arg-type
            case _:
                pass

def inlined(me: actors.InlineMe[Size | str], path: str) -> Callable[[Size | str], None]:
    return lambda message: None

async def starts_inline(supervisor: actors.Supervisor) -> int:
    actors.inline(inlined)  # error: call-arg
    ref = await supervisor.start(actors.inline(inlined, "/tmp"))
    await ref.tell(3)  # error: arg-type
    return await ref.ask(Size("a"), timeout=1)

async def watches(me: actors.Me[Ping], other: actors.Ref[str]) -> None:
    me.watch(other, lambda exit: exit.reason)  # error: arg-type,return-value
    me.watch(other, lambda exit: Ping(actors.Reply()))
"""


def test_mypy_finds_exactly_the_mistakes_in_user_code(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            "--cache-dir",
            str(tmp_path / "cache"),
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    found = {
        int(line.split(":")[1]): line.rsplit("[", 1)[1].rstrip("]")
        for line in run.stdout.splitlines()
        if ": error: " in line and line.startswith(str(path))
    }
    wanted = {
        number: line.split("# error: ")[1].split(",")
        for number, line in enumerate(SAMPLE.splitlines(), 1)
        if "# error: " in line
    }
    assert set(found) == set(wanted), run.stdout
    for number, codes in wanted.items():
        assert found[number] in codes, run.stdout


def pyright(folder: Path, source: Path) -> list[dict[str, Any]]:
    """The errors that pyright finds in a file."""
    pytest.importorskip("pyright", reason="pyright is not installed: make check")
    settings = {"include": [str(source)], "pythonVersion": "3.11", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    run = subprocess.run(
        [sys.executable, "-m", "pyright", "-p", str(folder), "--pythonpath", sys.executable, "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if not run.stdout.startswith("{"):
        pytest.skip(f"pyright cannot be fetched here: {run.stderr[-200:]}")
    found = json.loads(run.stdout)["generalDiagnostics"]
    return [entry for entry in found if entry["severity"] == "error"]


LAMBDA_LINES = ('lambda reply: Get("k", reply)', "lambda exit: Ping(actors.Reply())")
"""What is right and pyright cannot infer."""


def test_pyright_finds_the_same_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE)
    found = {entry["range"]["start"]["line"] + 1: entry["message"] for entry in pyright(tmp_path, path)}
    lines = SAMPLE.splitlines()
    wanted = {number for number, line in enumerate(lines, 1) if "# error: " in line}
    spurious = {number for number in found if any(text in lines[number - 1] for text in LAMBDA_LINES)}
    assert set(found) - spurious == wanted, found


def test_both_checkers_accept_the_guide(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "actors.md").read_text()
    path = tmp_path / "guide.py"
    path.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)))
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            "--cache-dir",
            str(tmp_path / "cache"),
            str(path),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout
    assert pyright(tmp_path, path) == []


def test_both_checkers_accept_a_program_that_uses_every_public_name(tmp_path: Path) -> None:
    """mypy checks it as one of the project's files."""
    path = ROOT / "tests" / "support" / "every_public_name.py"
    assert pyright(tmp_path, path) == []


def test_that_program_uses_every_public_name_and_runs() -> None:
    source = Path(every_public_name.__file__).read_text()
    names = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    assert set(api.__all__) <= names
    run_seeded(every_public_name.main, seed=0)
    assert every_public_name.steps()[0].points
