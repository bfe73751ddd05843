"""Old task directories of this machine: removed when a worker starts, if no task can need them any more."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from typing import Any

from optio_core.state_machine import ACTIVE_STATES

from optio_agents.hosts.files.removal import remove_tree
from optio_agents.task.claim import RECORD, is_claimed

_logger = logging.getLogger("optio_agents.task")


async def remove_old_task_directories(
    database: Any, prefix: str, task_root: str, *, keep_seconds: float
) -> list[str]:
    """Remove the directories in `task_root` that were used last more than `keep_seconds` ago; returns their names.

    A directory stays if a run holds it or no run of ours has left its record there, and if the database holds a process
    of its name that is active, has saved state, or has unsaved work. Call it under the worker's lease and before
    `Optio.run`, so that no run of this prefix begins meanwhile.

    Args:
        database: motor's.
        prefix: of the worker.
        task_root: the directory of the task directories; it may be missing.
        keep_seconds: at least so long each is kept.
    """
    latest = time.time() - keep_seconds
    old = await asyncio.to_thread(_unused_since, task_root, latest)
    removed = []
    for name in old:
        row = await database[f"{prefix}_processes"].find_one({"processId": name}, {"log": 0})
        if row is not None and _is_needed(row):
            continue
        try:
            await asyncio.to_thread(remove_tree, os.path.join(task_root, name))
        except OSError as error:
            _logger.warning("cannot remove the old task directory %s: %s", name, error.strerror)
        else:
            removed.append(name)
    if removed:
        _logger.info("removed %d old task directories: %s", len(removed), ", ".join(removed[:20]))
    return removed


def _unused_since(task_root: str, latest: float) -> list[str]:
    try:
        names = sorted(os.listdir(task_root))
    except FileNotFoundError:
        return []
    return [name for name in names if _is_unused_since(os.path.join(task_root, name), latest)]


def _is_unused_since(taskdir: str, latest: float) -> bool:
    if is_claimed(taskdir) is not False:
        return False
    try:
        times = [os.lstat(path) for path in (taskdir, os.path.join(taskdir, RECORD))]
    except OSError:
        return False
    return stat.S_ISDIR(times[0].st_mode) and all(each.st_mtime < latest for each in times)


def _is_needed(row: dict[str, Any]) -> bool:
    return (
        row.get("status", {}).get("state") in ACTIVE_STATES
        or bool(row.get("hasSavedState"))
        or bool(row.get("hasUnsavedWork"))
    )
