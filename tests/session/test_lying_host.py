"""A host that hangs at any step, or sends more than it says: one typed outcome in bounded time and memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from optio_agents import HookContext, SessionOptions, get_protocol, run_log_protocol_session
from optio_agents.hosts.base import LogPosition
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.protocol.session import DeliverableFile, Ending, HostTimeout
from tests.support.session import MemoryDeliverable, MemoryHost, MemoryReader, RecordingCtx

LIMIT = 1024 * 1024
STEPS = [
    "setup_workdir",
    "prepare_channel",
    "install_scripts",
    "search_path",
    "open_log",
    "open_deliverable",
    "chunks",
]


class Endless(MemoryDeliverable):
    """Says that it is small, and sends on for ever."""

    sent = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            await trio.lowlevel.checkpoint()
            Endless.sent += 65536
            yield bytes(65536)


class Hanging(MemoryDeliverable):
    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"first"
        await trio.sleep_forever()


class LyingHost(MemoryHost):
    """A host in memory that hangs at one step, or whose deliverables are of another kind."""

    hangs_at = ""
    kind: type[MemoryDeliverable] = MemoryDeliverable

    async def _step(self, name: str) -> None:
        if self.hangs_at == name:
            await trio.sleep_forever()

    async def setup_workdir(self) -> None:
        await self._step("setup_workdir")
        await super().setup_workdir()

    async def prepare_channel(self) -> None:
        await self._step("prepare_channel")
        await super().prepare_channel()

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        await self._step("install_scripts")
        return await super().install_scripts(directory, scripts)

    async def search_path(self) -> str:
        await self._step("search_path")
        return await super().search_path()

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[MemoryReader]:
        await self._step("open_log")
        async with super().open_log(position, settled=settled) as reader:
            yield reader

    @asynccontextmanager
    async def open_deliverable(self, relative_path: str, *, limit: int) -> AsyncIterator[MemoryDeliverable]:
        await self._step("open_deliverable")
        async with super().open_deliverable(relative_path, limit=limit):
            yield self.kind(b"small")


async def run(host: LyingHost, ctx: RecordingCtx, *, host_timeout: float = 300.0, **more: Any) -> Any:
    async def body(host: LyingHost, hook_ctx: HookContext) -> None:
        host.deliver("x", "small")
        if host.hangs_at == "":
            host.write("DONE")
        await trio.sleep_forever()

    return await run_log_protocol_session(
        host,
        ctx,
        body=body,
        protocol=get_protocol(browser="suppress"),
        options=SessionOptions(text_limit=LIMIT, deliverable_limit=LIMIT, host_timeout=host_timeout),
        **more,
    )


@pytest.mark.parametrize("step", STEPS)
async def test_a_host_that_hangs_at_any_step_ends_with_a_cancellation(
    step: str, autojump_clock: MockClock
) -> None:
    host, ctx = LyingHost(), RecordingCtx()
    host.hangs_at = step
    if step == "chunks":
        host.kind = Hanging
    after: list[str] = []

    async def after_execute(hook_ctx: HookContext) -> None:
        after.append("ran")

    async def cancel() -> None:
        await trio.sleep(60)
        ctx.cancellation_flag.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel)
        with trio.fail_after(100):
            outcome = await run(host, ctx, after_execute=after_execute)
    assert outcome.ending is Ending.CANCELLED
    assert after == ["ran"]
    assert (host.readers, host.open_deliverables) == (0, 0)


@pytest.mark.parametrize("step", STEPS)
async def test_a_host_that_hangs_at_any_step_fails_the_session_in_time(
    step: str, autojump_clock: MockClock
) -> None:
    host, ctx = LyingHost(), RecordingCtx()
    host.hangs_at = step
    if step == "chunks":
        host.kind = Hanging
    with trio.fail_after(100), pytest.raises(HostTimeout, match=r"the host did not .* within 20 s") as caught:
        await run(host, ctx, host_timeout=20)
    assert caught.value.outcome.ending is Ending.FAILED
    assert caught.value.outcome.message == str(caught.value)
    assert caught.value.others == ()
    assert (host.readers, host.open_deliverables) == (0, 0)


async def test_a_deliverable_that_comes_slowly_is_not_late(autojump_clock: MockClock) -> None:
    """The limit is for each piece."""

    class Slow(MemoryDeliverable):
        async def chunks(self) -> AsyncIterator[bytes]:
            for _ in range(10):
                await trio.sleep(15)
                yield b"x"

    host = LyingHost()
    host.kind, host.hangs_at = Slow, "nowhere"
    taken: list[str] = []

    async def take(hook_ctx: HookContext, path: str, text: str) -> None:
        taken.append(text)
        host.write("DONE")

    await run(host, RecordingCtx(), host_timeout=20, on_deliverable=take)
    assert taken == ["x" * 10]


@pytest.mark.parametrize("callback", ["on_deliverable", "on_deliverable_file"])
async def test_a_host_that_sends_more_than_it_says_is_stopped_at_the_limit(callback: str) -> None:
    taken: list[Any] = []

    async def take(hook_ctx: HookContext, *what: str | DeliverableFile) -> None:
        taken.append(what)

    Endless.sent = 0
    host = LyingHost()
    host.kind = Endless
    callbacks: dict[str, Any] = {callback: take}
    outcome = await run(host, RecordingCtx(), **callbacks)
    assert outcome.deliverables[0].kind is RejectionKind.TOO_LARGE
    assert taken == []
    assert Endless.sent <= LIMIT + 2 * 65536
    assert host.open_deliverables == 0
