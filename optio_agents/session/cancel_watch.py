"""The watch: the actor that waits for optio's cancellation, and what is left of optio's grace after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Never

import trio

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.session.verdict import CancelAsked

POLL_INTERVAL = 0.05
"""Seconds between two looks at a ctx that has `should_continue()` and no flag to wait for."""


async def watch(
    me: actors.Me[Never], boundary: Boundary, ctx: Any, tell: Callable[[CancelAsked], None]
) -> None:
    """Wait until optio asks for the end, then say so once."""
    me.ready()
    if can_be_cancelled(ctx):
        await wait_cancelled(boundary, ctx)
        tell(CancelAsked())


def can_be_cancelled(ctx: Any) -> bool:
    """Whether `ctx` has any way to say that optio asks for the end."""
    return getattr(ctx, "cancellation_flag", None) is not None or hasattr(ctx, "should_continue")


async def wait_cancelled(boundary: Boundary, ctx: Any) -> None:
    """Return once optio has asked for the end.

    A ctx with a `cancellation_flag` is waited for as an event. One without is asked `should_continue()` at intervals;
    for one with neither this never returns.
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
    """Whether optio has asked already."""
    flag = getattr(ctx, "cancellation_flag", None)
    if flag is not None:
        return bool(flag.is_set())
    should_continue = getattr(ctx, "should_continue", None)
    return should_continue is not None and not should_continue()


def grace_left(ctx: Any) -> float | None:
    """Seconds until optio-core cancels the run's own task by force; `None` if it was not asked to end, or is unknown.

    optio-core keeps this deadline for each run (`Executor._cancellation_flags`) and has no public name for it.
    """
    entries = getattr(getattr(ctx, "_executor", None), "_cancellation_flags", None)
    if not isinstance(entries, dict):
        return None
    deadline = getattr(entries.get(getattr(ctx, "_process_oid", None)), "deadline", None)
    return deadline - time.monotonic() if isinstance(deadline, float | int) else None
