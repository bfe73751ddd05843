"""Sessions for every kind of event loop and every kind of end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from optio_agents import Ending, SessionOptions, SessionOutcome, run_log_protocol_session
from optio_agents.session.events import Ended, SessionEvent
from tests.support.asyncio_trials import AsyncioCtx

HANG = 60.0
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    return loop


def debug_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop, "debug": debug_loop}
if sys.version_info >= (3, 12):
    LOOPS["eager"] = eager_loop
loops = pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS.keys())


class Program:
    """One session; its body says what `lines` has, and waits."""

    def __init__(self, host: Any, lines: str) -> None:
        self.host = host
        self.lines = lines
        self.ctx = AsyncioCtx()
        self.events: list[SessionEvent] = []
        self.waiting = False
        self.body_ended = 0

    async def body(self, host: Any, hook_ctx: Any) -> None:
        with open(os.path.join(host.workdir, "optio.log"), "a") as log:
            log.write(f"STATUS: 10% begun\n{self.lines}")
        self.waiting = True
        try:
            await asyncio.Event().wait()
        finally:
            self.body_ended += 1

    async def run(self) -> SessionOutcome:
        return await run_log_protocol_session(
            self.host, self.ctx, body=self.body, options=SessionOptions(on_event=self.events.append)
        )

    async def begin(self) -> asyncio.Task[SessionOutcome]:
        async def whole() -> SessionOutcome:
            return await self.run()

        task = asyncio.ensure_future(whole())
        async with asyncio.timeout(HANG):
            while not self.waiting:
                await asyncio.sleep(0.001)
        return task

    @property
    def endings(self) -> list[Ending]:
        return [event.outcome.ending for event in self.events if isinstance(event, Ended)]
