"""The adapter for the ctx: all that a session knows of optio-core's process context, and of thinner objects.

Only `report_progress` is required. Everything else is looked for here, and used where it is there.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from optio_agents.bridge.boundary import Boundary

METHODS: Final = {
    "ATTENTION": "need_attention",
    "BROWSER": "request_browser_open",
    "CLIENT_MESSAGE": "client_message",
}
"""The keywords that are requests to the dashboard's user, and the method of the ctx that passes each on."""

POLL_INTERVAL = 0.05
"""Seconds between two checks of a ctx that has `should_continue()` but no flag to wait for."""


def accepts_progress(ctx: Any) -> bool:
    """Whether `ctx` can be the ctx of a session."""
    return callable(getattr(ctx, "report_progress", None))


def accepts_level(ctx: Any) -> bool:
    """Whether its `report_progress` has optio-core's `level`; test doubles often lack it."""
    try:
        parameters = inspect.signature(ctx.report_progress).parameters
    except (TypeError, ValueError):
        return False
    return "level" in parameters


def process_id(ctx: Any) -> str | None:
    """optio's id of the process."""
    return getattr(ctx, "process_id", None)


def request_method(ctx: Any, keyword: str) -> Callable[..., Awaitable[Any]] | None:
    """The method that passes on requests of that keyword, a key of `METHODS`; `None` if this ctx has none."""
    return getattr(ctx, METHODS[keyword], None)


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
