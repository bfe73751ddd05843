"""The watch: the actor that waits for optio's cancellation; and the rest of optio's grace after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Never

import trio

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.session.verdict import CancelAsked

POLL_INTERVAL = 0.05
"""Seconds between two checks of a ctx that has `should_continue()` but no flag to wait for."""


async def watch(
    me: actors.Me[Never], boundary: Boundary, ctx: Any, tell: Callable[[CancelAsked], None]
) -> None:
    """Wait until optio requests the end, then report it once."""
    me.ready()
    if can_be_cancelled(ctx):
        await wait_cancelled(boundary, ctx)
        tell(CancelAsked())


def can_be_cancelled(ctx: Any) -> bool:
    """Whether `ctx` can report that optio requests the end."""
    return getattr(ctx, "cancellation_flag", None) is not None or hasattr(ctx, "should_continue")


async def wait_cancelled(boundary: Boundary, ctx: Any) -> None:
    """Return once optio has requested the end.

    A `cancellation_flag` of the ctx is an event to wait for. Without one, `should_continue()` is polled. Without
    either, this never returns.
    """
    flag = getattr(ctx, "cancellation_flag", None)
    should_continue = getattr(ctx, "should_continue", None)
    if flag is not None:
        await boundary.wait_flag(flag)
    elif should_continue is not None:
        should_continue = boundary.plain(should_continue)
        while should_continue():  # noqa: ASYNC110 - such a ctx has no event to wait for
            await trio.sleep(POLL_INTERVAL)
    else:
        await trio.sleep_forever()


def is_cancelled(ctx: Any) -> bool:
    """Whether optio has already requested the end."""
    flag = getattr(ctx, "cancellation_flag", None)
    if flag is not None:
        return bool(flag.is_set())
    should_continue = getattr(ctx, "should_continue", None)
    return should_continue is not None and not should_continue()


def grace_left(ctx: Any) -> float | None:
    """Seconds until optio-core cancels the run's own task by force; `None` without a request or if unknown.

    optio-core keeps this deadline for each run (`Executor._cancellation_flags`) and has no public name for it.
    """
    entries = getattr(getattr(ctx, "_executor", None), "_cancellation_flags", None)
    if not isinstance(entries, dict):
        return None
    deadline = getattr(entries.get(getattr(ctx, "_process_oid", None)), "deadline", None)
    return deadline - time.monotonic() if isinstance(deadline, float | int) else None
