"""An ended session keeps nothing alive, without the garbage collector: programs that serve turn it off or freeze it."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents import SessionFailed, run_log_protocol_session
from optio_agents.hosts.local import LocalHost
from tests.support.asyncio_trials import AsyncioCtx
from tests.support.session import RecordingCtx

ENDS = ["DONE", "ERROR", "the body fails", "a hook fails", "a callback fails", "cancelled"]
kept_by_caller: ContextVar[Any] = ContextVar("kept_by_caller")


class Large:
    """Something that one would miss the memory of."""


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    # pytest keeps what is logged, and with it the exceptions.
    logging.disable()
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    logging.disable(logging.NOTSET)


async def for_ever() -> None:
    """With a timer: the loop holds a cancelled one, and the context variables around it, until its time has come."""
    await asyncio.sleep(3600)


class Program:
    """A session whose every part holds something large, and dies by `end`."""

    def __init__(self, folder: Path, end: str, wait_for_ever: Callable[[], Any], ctx: RecordingCtx) -> None:
        self.folder = folder
        self.end = end
        self.wait_for_ever = wait_for_ever
        self.ctx: Any = ctx
        self.large: list[weakref.ref[Any]] = []

    def make(self) -> Large:
        large = Large()
        self.large.append(weakref.ref(large))
        return large

    async def __call__(self) -> None:
        ctx, self.ctx = self.ctx, None
        ctx.large = self.make()
        host: Any = LocalHost(str(self.folder))
        held = self.make()

        async def body(host: Any, hook_ctx: Any) -> None:
            mine = self.make()
            if self.end == "the body fails":
                raise ValueError(f"with {mine}, holding {held}")
            line = "ERROR: no\n" if self.end == "ERROR" else "DONE\n"
            if self.end == "cancelled":
                ctx.cancellation_flag.set()
            else:
                with open(f"{host.workdir}/optio.log", "a") as log:
                    log.write(f"DELIVERABLE: ./deliverables/a.txt\n{line}")
            await self.wait_for_ever()

        async def before_execute(hook_ctx: Any) -> None:
            mine = self.make()
            Path(host.workdir, "deliverables", "a.txt").write_text("text")
            if self.end == "a hook fails":
                raise ValueError(f"with {mine}, holding {held}")

        async def on_deliverable(hook_ctx: Any, path: str, text: str) -> None:
            mine = self.make()
            if self.end == "a callback fails":
                raise ValueError(f"with {mine}, holding {held}")

        with suppress(ValueError, SessionFailed):
            await run_log_protocol_session(
                host, ctx, body=body, before_execute=before_execute, on_deliverable=on_deliverable
            )

    def left(self) -> int:
        assert len(self.large) >= 3
        return sum(each() is not None for each in self.large)


@pytest.mark.parametrize("end", ENDS)
def test_under_trio(end: str, tmp_path: Path) -> None:
    async def run() -> int:
        program = Program(tmp_path, end, trio.sleep_forever, RecordingCtx())
        await program()
        return program.left()

    assert trio.run(run) == 0


@pytest.mark.parametrize("end", ENDS)
def test_under_asyncio(end: str, tmp_path: Path) -> None:
    async def run() -> int:
        program = Program(tmp_path, end, for_ever, AsyncioCtx())
        await asyncio.create_task(program())  # whose context goes with it
        await asyncio.sleep(0)
        return program.left()

    assert asyncio.run(run()) == 0


def test_what_the_first_caller_has_in_its_context_is_not_kept_for_the_next(tmp_path: Path) -> None:
    async def run() -> int:
        # Without a timer, with which asyncio would keep it.
        program = Program(tmp_path, "DONE", asyncio.Event().wait, AsyncioCtx())

        async def first() -> None:
            kept_by_caller.set(program.make())
            await program()

        await asyncio.create_task(first())
        await asyncio.sleep(0)
        return program.left()

    assert asyncio.run(run()) == 0
