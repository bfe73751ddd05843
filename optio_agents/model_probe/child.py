"""A probe as a child process of the task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

_logger = logging.getLogger(__name__)

_running: set[tuple[int, str]] = set()
"""The probes that run now: the id of their task's context, and their process id."""


async def run_probe_child(
    ctx: Any, *, name: str, description: str | None = None, probe: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Run `probe(child_ctx)` as a child process, shown beneath the task; several may run at once.

    Cancelling this cancels the probe.

    Returns:
        What it returns; `None` if it fails, which is logged.
    """
    from optio_core.models import TaskInstance

    probing: list[asyncio.Task[Any]] = []

    async def execute(child_ctx: Any) -> None:
        # A task of its own: optio-core does not end a child whose launcher has gone.
        task = asyncio.ensure_future(probe(child_ctx))
        probing.append(task)
        try:
            child_ctx.publish_result(await task)
        finally:
            task.cancel()

    key = _reserve(ctx)
    try:
        task = TaskInstance(execute=execute, process_id=key[1], name=name, description=description)
        handle = await ctx.run_child_task_with_result(task)
    except asyncio.CancelledError:
        for each in probing:
            each.cancel()
        raise
    except Exception:
        _logger.exception("the model probe %r failed", name)
        return None
    finally:
        _running.discard(key)
    return handle.result


def _reserve(ctx: Any) -> tuple[int, str]:
    """A process id that no probe of this task has now.

    The task's counter advances only when optio-core starts the child: two probes at once would find the same number.
    """
    number = ctx._child_counter.get("next", 0)
    while (key := (id(ctx), f"{ctx.process_id}.model-probe-{number}")) in _running:
        number += 1
    _running.add(key)
    return key
