"""What a test must not leave behind: tasks, threads, file descriptors, child processes."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import trio


@contextmanager
def no_leaks() -> Generator[None]:
    """Raise `AssertionError` if something remains after the block that did not exist before it.

    Tasks are checked if it is used inside of a Trio run. Trio's idle worker threads are no leak: Trio keeps them for a
    few seconds to use them again. Descriptors and child processes are checked where `/proc` exists (Linux).
    """
    before = _snapshot()
    yield
    gc.collect()
    after = _snapshot()
    found = {kind: sorted(there - before[kind]) for kind, there in after.items() if there - before[kind]}
    if found:
        raise AssertionError(f"left behind: {found}")


def _snapshot() -> dict[str, set[str]]:
    return {"tasks": _tasks(), "threads": _threads(), "files": _files(), "children": _children()}


def _tasks() -> set[str]:
    try:
        root = trio.lowlevel.current_root_task()
    except RuntimeError:
        return set()
    found: set[str] = set()
    todo = [root] if root is not None else []
    while todo:
        task = todo.pop()
        found.add(f"{task.name} ({id(task):#x})")
        todo += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


def _threads() -> set[str]:
    names = ((thread.name, thread.ident) for thread in threading.enumerate())
    return {f"{name} ({ident})" for name, ident in names if not name.startswith("Trio thread")}


def _files() -> set[str]:
    found = set()
    folder = Path("/proc/self/fd")
    for name in os.listdir(folder) if folder.is_dir() else ():
        try:
            found.add(f"{name} -> {os.readlink(folder / name)}")
        except FileNotFoundError:  # the descriptor that listed the folder
            continue
    return found


def _children() -> set[str]:
    found: set[str] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(path.read_text().split())
        except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            continue
    return found
