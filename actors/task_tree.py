"""A picture of a live system, read off trio's own task tree: there is no registry that could be wrong."""

from __future__ import annotations

import trio

from actors.current import current


def tree(root: trio.lowlevel.Task | None = None) -> str:
    """Draw all tasks below `root` (by default, of the whole run), actors with their state and mailbox.

    Raises:
        RuntimeError: called outside of a trio run.
    """
    start = root or trio.lowlevel.current_root_task()
    if start is None:
        raise RuntimeError("there is no task tree: trio is not running here")
    lines: list[str] = []
    todo = [(start, 0)]
    while todo:
        task, depth = todo.pop()
        cell = task.context.get(current)
        label = repr(cell) if cell is not None and cell.task is task else task.name
        lines.append("  " * depth + label)
        todo += [(child, depth + 1) for nursery in task.child_nurseries for child in sorted_tasks(nursery)]
    return "\n".join(lines)


def sorted_tasks(nursery: trio.Nursery) -> list[trio.lowlevel.Task]:
    """A nursery's tasks, in reverse order of their names: it keeps them in a set, and the walk uses a
    stack.
    """
    return sorted(nursery.child_tasks, key=lambda task: task.name, reverse=True)
