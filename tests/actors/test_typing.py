"""Wrong messages and wrong arguments are type errors, and right ones are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SAMPLE = """\
from __future__ import annotations
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
