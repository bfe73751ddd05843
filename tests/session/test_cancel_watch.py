"""How a session learns that optio asks for its end."""

from __future__ import annotations

from typing import Any

from trio.testing import wait_all_tasks_blocked

import actors
from optio_agents.bridge import TrioBoundary
from optio_agents.session.cancel_watch import watch
from optio_agents.session.verdict import CancelAsked
from tests.support.session import RecordingCtx


async def watched(ctx: Any, *, cancel: bool = False) -> list[CancelAsked]:
    told: list[CancelAsked] = []
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(watch, TrioBoundary(), ctx, told.append), name="watch")
        if cancel:
            await wait_all_tasks_blocked()
            assert told == []
            ctx.cancellation_flag.set()
        await ref.wait()
    return told


async def test_the_watch_tells_once() -> None:
    assert await watched(RecordingCtx(), cancel=True) == [CancelAsked()]


async def test_the_watch_of_a_ctx_that_cannot_say_so_ends_at_once() -> None:
    assert await watched(object()) == []
