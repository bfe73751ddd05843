"""Which old task directories go, and which stay."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from optio_agents.task.claim import RECORD
from optio_agents.task.retention import remove_old_task_directories

DAY = 86_400.0


class Processes:
    """The collection of a database that holds these rows."""

    def __init__(self, rows: Mapping[str, dict[str, Any]]) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> Processes:
        assert name == "test_processes"
        return self

    async def find_one(self, query: dict[str, Any], projection: dict[str, Any]) -> dict[str, Any] | None:
        return self._rows.get(query["processId"])


def task_directory(root: Path, name: str, *, days: float, record: bool = True) -> Path:
    """A directory that a run used last so many days ago."""
    directory = root / name
    (directory / "workdir").mkdir(parents=True)
    (directory / "workdir" / "file").write_text("content")
    then = time.time() - days * DAY
    if record:
        (directory / RECORD).write_text("{}")
        os.utime(directory / RECORD, (then, then))
    os.utime(directory, (then, then))
    return directory


def remove(root: Path, rows: Mapping[str, dict[str, Any]] | None = None) -> list[str]:
    processes = Processes(rows or {})
    return asyncio.run(remove_old_task_directories(processes, "test", str(root), keep_seconds=30 * DAY))


def test_what_nothing_has_used_for_so_long_goes(tmp_path: Path) -> None:
    old = task_directory(tmp_path, "old", days=31)
    young = task_directory(tmp_path, "young", days=29)
    assert remove(tmp_path, {"old": {"status": {"state": "done"}}}) == ["old"]
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    "row",
    [
        {"status": {"state": "running"}},
        {"status": {"state": "failed"}, "hasSavedState": True},
        {"status": {"state": "failed"}, "hasUnsavedWork": True},
    ],
)
def test_what_a_task_may_still_need_stays(row: dict[str, Any], tmp_path: Path) -> None:
    directory = task_directory(tmp_path, "old", days=400)
    assert remove(tmp_path, {"old": row}) == []
    assert directory.exists()


def test_what_a_run_holds_or_is_not_ours_stays(tmp_path: Path) -> None:
    held = task_directory(tmp_path, "held", days=400)
    task_directory(tmp_path, "foreign", days=400, record=False)
    target = task_directory(tmp_path / "elsewhere", "target", days=400)
    (tmp_path / "link").symlink_to(target)
    with (held / RECORD).open("rb") as record:
        fcntl.flock(record, fcntl.LOCK_EX)
        assert remove(tmp_path) == []
    assert target.exists()


def test_a_root_that_does_not_exist_yet_is_an_empty_one(tmp_path: Path) -> None:
    assert remove(tmp_path / "none") == []
