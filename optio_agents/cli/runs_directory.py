"""The records of past runs: one directory per run, under the user's state directory.

`$XDG_STATE_HOME/optio-agents/runs/<id>/` (by default `~/.local/state/...`) contains `run.json` (the command and how it
ended), `events.jsonl` (every event, with the line that was shown), `output.log` (the agent's own output) and
`optio.log` (a copy of the log). When a new run begins, old ones are removed by age and by total size.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.state_directory import state_directory

MAX_AGE_SECONDS = 30 * 86_400
"""A run that began longer ago is removed."""

MAX_TOTAL_BYTES = 1024**3
"""When all runs together are larger, the oldest are removed."""

MANIFEST = "run.json"
EVENTS = "events.jsonl"
OUTPUT = "output.log"
LOG = "optio.log"

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


def runs_directory() -> Path:
    """The directory of all runs."""
    return state_directory() / "runs"


def new_run(root: Path, now: float) -> Path:
    """Make the directory of a run that begins at `now` (seconds since the epoch), readable by its owner only.

    Raises:
        OSError: it cannot be made.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    directory = root / f"{stamp}-{os.urandom(3).hex()}"
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.mkdir(mode=0o700)
    return directory


def prune(root: Path, now: float) -> None:
    """Remove runs that are too old, and the oldest ones while the total size is too large."""
    total = 0
    for directory in sorted(_directories(root), reverse=True):
        try:
            began = directory.stat().st_mtime
            total += sum(file.stat().st_size for file in directory.iterdir())
        except OSError:
            continue
        if now - began > MAX_AGE_SECONDS or total > MAX_TOTAL_BYTES:
            shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run of the past.

    Attributes:
        id: its name, which begins with the local time of its start.
        directory: where its files are.
        manifest: the content of `run.json`; empty if it cannot be read.
    """

    id: str
    directory: Path
    manifest: dict[str, Any]

    @property
    def result(self) -> str:
        """How it ended, in one word; `unfinished` if that was never written."""
        return str(self.manifest.get("result", "unfinished"))

    def events(self) -> Iterator[dict[str, Any]]:
        """Its events, in order; an incomplete last line is left out."""
        with suppress(FileNotFoundError), open(self.directory / EVENTS, "rb") as file:
            for line in file:
                with suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        yield event


def past_runs(root: Path) -> list[PastRun]:
    """All runs, the newest first."""
    return [_read(directory) for directory in sorted(_directories(root), reverse=True)]


def find_run(name: str) -> PastRun:
    """The run `name`: an id, an unambiguous beginning or end of one, or `last`.

    Raises:
        UsageError: there is no such run, or more than one.
    """
    root = runs_directory()
    found = sorted(_directories(root), reverse=True)
    if name == "last":
        found = found[:1]
    else:
        found = [each for each in found if each.name.startswith(name) or each.name.endswith(name)]
    if not found:
        raise UsageError(f"there is no run {name!r}; `optio-agents runs` lists them")
    if len(found) > 1:
        raise UsageError(f"{name!r} means several runs: {', '.join(each.name for each in found[:5])}")
    return _read(found[0])


def _directories(root: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for each in root.iterdir():
            if _ID.fullmatch(each.name):
                yield each


def _read(directory: Path) -> PastRun:
    manifest: object = {}
    with suppress(OSError, ValueError):
        manifest = json.loads((directory / MANIFEST).read_bytes())
    return PastRun(directory.name, directory, manifest if isinstance(manifest, dict) else {})
