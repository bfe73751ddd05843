"""A text picture of a running system, from Trio's own task tree. There is no registry that could be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol
from weakref import WeakKeyDictionary

import trio

from actors.current import current_actor


class Child(Protocol):
    """The part of a supervisor's child that the tree needs."""

    has_task: bool


supervised: WeakKeyDictionary[trio.Nursery, Mapping[str, Child]] = WeakKeyDictionary()
"""The children of each supervisor by its nursery, for the actors that have no task there."""


def tree(root: trio.lowlevel.Task | None = None) -> str:
    """Draw all tasks below `root` (by default, of the whole run), actors with their state and mailbox.

    Actors without a task are below the task that owns their supervisor, next to those with a task.

    Raises:
        RuntimeError: called outside of a trio run.
    """
    start = root or trio.lowlevel.current_root_task()
    if start is None:
        raise RuntimeError("there is no task tree: trio is not running here")
    return "\n".join(_draw(start, 0))


def _draw(root: trio.lowlevel.Task, depth: int) -> Iterator[str]:
    todo: list[tuple[trio.lowlevel.Task | str, int]] = [(root, depth)]
    while todo:
        task, depth = todo.pop()
        if isinstance(task, str):
            yield "  " * depth + task
            continue
        cell = current_actor(task.context)
        yield "  " * depth + (repr(cell) if cell is not None and cell.task is task else task.name)
        for nursery in task.child_nurseries:
            todo += [(child, depth + 1) for child in _children(nursery)]


def _children(nursery: trio.Nursery) -> list[trio.lowlevel.Task | str]:
    """The tasks of a nursery in reverse order of their names, because the walk uses a stack.

    They are sorted because a nursery keeps its tasks in a set.
    """
    named: list[tuple[str, trio.lowlevel.Task | str]] = [(task.name, task) for task in nursery.child_tasks]
    for name, child in supervised.get(nursery, {}).items():
        if not child.has_task:
            named.append((f"actor {name}", repr(child)))
    return [task for _, task in sorted(named, key=lambda entry: entry[0], reverse=True)]
