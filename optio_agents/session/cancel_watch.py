"""The watch: the actor that waits for optio's cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.session.optio_context import can_be_cancelled, wait_cancelled
from optio_agents.session.verdict import CancelAsked


async def watch(
    me: actors.Me[Never], boundary: Boundary, ctx: Any, tell: Callable[[CancelAsked], None]
) -> None:
    """Wait until optio requests the end, then report it once."""
    me.ready()
    if can_be_cancelled(ctx):
        await wait_cancelled(boundary, ctx)
        tell(CancelAsked())
