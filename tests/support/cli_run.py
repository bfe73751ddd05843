"""`optio-agents run` in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HANG_GUARD = 60
"""Seconds; only a hang takes that long."""

COMMAND_LINE = [sys.executable, "-m", "optio_agents.cli"]

PYTHON_AGENT = """\
import os, select, signal, subprocess, sys, time
def say(line):
    with open("optio.log", "a") as log:
        log.write(line + "\\n")
def heard(start="System: "):
    for line in sys.stdin:
        if line.startswith(start):
            return line.rstrip("\\n")
def wait_for_the_end_of_input(seconds=None):
    # Without reading: what lies in the pipe stays there.
    poll = select.poll()
    poll.register(0, 0)
    return poll.poll(None if seconds is None else seconds * 1000)
"""
"""What the agents of the tests begin with."""


def agent(code: str) -> list[str]:
    """An agent written in Python."""
    return ["--", sys.executable, "-c", PYTHON_AGENT + code]


@dataclass
class Result:
    """How it ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """With `--json`: all events."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def ended(self) -> dict[str, Any]:
        """With `--json`: the last event."""
        last = self.events[-1]
        assert last["event"] == "ended"
        return last


def run(*arguments: str, cwd: Path, **environment: str) -> Result:
    """Run it to its end."""
    ended = subprocess.run(
        [*COMMAND_LINE, *arguments],
        cwd=cwd,
        env=environment_for(cwd, environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    return Result(ended.returncode, ended.stdout, ended.stderr)


def environment_for(cwd: Path, more: dict[str, str]) -> dict[str, str]:
    """Our environment, with a temporary directory of the run's own: what is left there can be seen."""
    temporary = cwd / "tmp"
    temporary.mkdir(exist_ok=True)
    state = str(cwd / "state")
    return {**os.environ, "TMPDIR": str(temporary), "XDG_STATE_HOME": state, "COLUMNS": "100", **more}


class Running:
    """One that is still running, with `--json`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.stdout: IO[str] = process.stdout
        self.events: list[dict[str, Any]] = []

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """Read events until one is of this kind and has these fields."""
        for line in self.stdout:
            found: dict[str, Any] = json.loads(line)
            self.events.append(found)
            if found["event"] == event and all(found[name] == value for name, value in fields.items()):
                return found
        raise AssertionError(f"ended without {event} {fields}: {self.events}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def finish(self) -> int:
        """Read what is left and return the exit code."""
        self.events += [json.loads(line) for line in self.stdout]
        return self.process.wait(HANG_GUARD)


@contextmanager
def running(*arguments: str, cwd: Path, **environment: str) -> Iterator[Running]:
    """Start it with `--json`; kill it if it still runs in the end."""
    with subprocess.Popen(
        [*COMMAND_LINE, "run", "--json", *arguments],
        cwd=cwd,
        env=environment_for(cwd, environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
