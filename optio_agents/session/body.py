"""The body: the actor around the caller's coroutine that runs the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

import trio

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.session.verdict import BodyEnded


async def run_body(
    me: actors.Me[Never],
    boundary: Boundary,
    body: Any,
    arguments: tuple[Any, ...],
    tell: Callable[[BodyEnded], None],
    grace: float,
) -> None:
    """Run `body(*arguments)` and report how it ended. What it raises is a fact, not a failure of this actor."""
    me.ready()
    try:
        await boundary.call(body, *arguments, label="body", grace=grace)
    except trio.Cancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - passed on to the one place that decides
        tell(BodyEnded(error))
    else:
        tell(BodyEnded(None))
