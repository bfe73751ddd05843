"""Who is measured: the published package in a virtual environment of its own, ours in two worlds, and neither."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".bench"
PUBLISHED_VERSION = "0.7.2"
MACHINE = "the machine: epoll, read"
BARE_TASK = "one bare Trio task"

_LAUNCH = """\
import runpy, sys
sys.path.append(sys.argv.pop(1))
runpy.run_module("benchmarks.sessions.probe", run_name="__main__", alter_sys=True)
"""
"""The checkout comes last on the path, so that `optio_agents` is the one that the interpreter has installed."""


class ProbeFailed(Exception):  # noqa: N818 - named for what happened, as trio does
    """A measurement did not come to an end by itself; `args[0]` is what it said."""


@dataclass(frozen=True, slots=True)
class Rival:
    """One who is measured."""

    name: str
    python: str
    world: str

    def probe(self, measurement: str, *, timeout: float = 900.0, **parameters: Any) -> dict[str, Any]:
        """Run one measurement in a fresh process.

        Raises:
            ProbeFailed: it crashed, or took longer than `timeout` seconds.
        """
        arguments = [str(CHECKOUT), measurement, json.dumps({"world": self.world} | parameters)]
        try:
            done = subprocess.run(
                [self.python, "-P", "-c", _LAUNCH, *arguments],
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ProbeFailed(f"not done after {timeout:g} s") from None
        if done.returncode:
            raise ProbeFailed(
                (done.stderr or done.stdout).strip()[-2000:] or f"ended with status {done.returncode}"
            )
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer


def published() -> Rival:
    """The published package; installs it into the cache folder if it is not there yet."""
    place = CACHE / f"published-{PUBLISHED_VERSION}"
    python = place / "bin" / "python"
    marker = place / ".complete"
    if not marker.exists():
        venv.create(place, clear=True, with_pip=True)
        requirement = f"optio-agents=={PUBLISHED_VERSION}"
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
        marker.touch()
    return Rival(f"published {PUBLISHED_VERSION}", str(python), "asyncio")


def ours() -> tuple[Rival, Rival]:
    """This checkout's package, awaited under asyncio and under Trio."""
    return Rival("asyncio", sys.executable, "asyncio"), Rival("Trio", sys.executable, "trio")


def floors() -> tuple[Rival, Rival]:
    """No package at all: the least that a program can do, without and with a Trio loop."""
    return Rival(MACHINE, sys.executable, "machine"), Rival(BARE_TASK, sys.executable, "trio")
