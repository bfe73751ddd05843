"""The watch: the actor that waits for optio's cancellation."""

from __future__ import annotations

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
    """Wait until optio asks for the end, then say so once.

    A ctx with a `cancellation_flag` is waited for as an event. One without is asked `should_continue()` at intervals;
    one with neither cannot be cancelled this way.
    """
    me.ready()
    flag = getattr(ctx, "cancellation_flag", None)
    should_continue = getattr(ctx, "should_continue", None)
    if flag is not None:
        await boundary.wait_flag(flag)
    elif should_continue is not None:
        while should_continue():  # noqa: ASYNC110 - such a ctx has no event to wait for
            await trio.sleep(POLL_INTERVAL)
    else:
        return
    tell(CancelAsked())


def is_cancelled(ctx: Any) -> bool:
    """Whether optio has asked already."""
    flag = getattr(ctx, "cancellation_flag", None)
    if flag is not None:
        return bool(flag.is_set())
    should_continue = getattr(ctx, "should_continue", None)
    return should_continue is not None and not should_continue()
