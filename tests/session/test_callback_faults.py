"""Deliverables and messages whose files or callbacks are at fault, in memory and in virtual time."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.hosts.base import LogPosition
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.protocol.session import (
    DeliverableFile,
    Ending,
    SessionFailed,
    SessionOptions,
)
from tests.support.bodies import for_ever, stray_cancellation, writing
from tests.support.session import MemoryHost, MemoryReader, RecordingCtx

Clock = trio.testing.MockClock
EVERYTHING = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


async def test_a_file_that_is_wrong_in_any_way_has_its_own_reply(autojump_clock: Clock) -> None:
    told: list[str] = []

    async def sender(text: str) -> None:
        told.append(text)

    host = MemoryHost()
    host.deliverables.update({"big": b"x" * 11, "binary": b"\xff"})
    outcome = await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing(
            "DELIVERABLE: ../x",
            "DELIVERABLE: deliverables/a\0b",
            "DELIVERABLE: deliverables/none",
            "DELIVERABLE: deliverables/big",
            "DELIVERABLE: deliverables/binary",
            "DONE",
        ),
        agent_sender=sender,
        options=SessionOptions(text_limit=10),
    )
    assert [record.kind for record in outcome.deliverables] == [
        RejectionKind.OUTSIDE,
        RejectionKind.INVALID_PATH,
        RejectionKind.MISSING,
        RejectionKind.TOO_LARGE,
        RejectionKind.NOT_UTF8,
    ]
    assert len({text.split("rejected:")[1] for text in told}) == 5


async def test_a_cancellation_that_escapes_from_a_callback_is_reported_and_the_session_goes_on() -> None:
    host, told = MemoryHost(), []

    async def sender(text: str) -> None:
        told.append(text)

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        if path == "a":
            raise stray_cancellation()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.deliver("b", "")
        host.write("DONE")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        host, RecordingCtx(), body=body, on_deliverable=on_deliverable, agent_sender=sender
    )
    assert outcome.ending is Ending.DONE
    assert [record.failed for record in outcome.deliverables] == [True, False]
    assert len(told) == 2
    assert len(outcome.problems) == 1


@pytest.mark.parametrize("phase", ["prepare", "before_execute", "after_execute"])
async def test_a_cancellation_that_escapes_from_a_hook_is_a_failure(phase: str) -> None:
    async def hook(*args: Any) -> None:
        raise stray_cancellation()

    hooks: dict[str, Any] = {phase: hook}
    with pytest.raises(Exception, match=f"{phase} let a cancellation escape"):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=writing("DONE"), **hooks)


async def test_attention_and_error_are_seen_at_once_behind_a_stuck_callback(autojump_clock: Clock) -> None:
    host, ctx, seen = MemoryHost(), RecordingCtx(), []

    def note(name: str, args: tuple[Any, ...]) -> None:
        if name == "attention":
            seen.append(trio.current_time())

    ctx.on_call = note
    lines = [f"CALLER_MESSAGE: k {number}" for number in range(70)]
    with pytest.raises(SessionFailed, match="enough") as caught:
        await run_log_protocol_session(
            host,
            ctx,
            body=writing(*lines, "ATTENTION: here", "ERROR: enough"),
            protocol=EVERYTHING,
            on_caller_message=for_ever,
        )
    outcome = caught.value.outcome
    assert seen == [0.0]
    assert outcome.timings.run == 0.0
    assert outcome.timings.drain == SessionOptions().drain_timeout
    assert outcome.unsettled == 70


class ForgetfulHost(MemoryHost):
    """A host whose log does not keep what was read: a test of memory must not fill it by itself."""

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[MemoryReader]:
        async with super().open_log(position, settled=settled) as self.reader:
            yield self.reader

    def forget(self) -> None:
        self.log.clear()
        self.reader._offset = 0


async def test_a_flood_behind_a_stuck_callback_keeps_memory_flat_and_control_is_seen_at_once(
    autojump_clock: Clock,
) -> None:
    host, ctx, messages = ForgetfulHost(), RecordingCtx(), 4_000
    line = f'CALLER_MESSAGE: k "{"x" * 8000}"'

    async def body(host: ForgetfulHost, hook_ctx: HookContext) -> None:
        for _ in range(messages // 20):
            host.write(*[line] * 20)
            await trio.sleep(1)
            host.forget()
        host.write("ATTENTION: here", "ERROR: enough")
        await trio.sleep_forever()

    tracemalloc.start()
    try:
        with pytest.raises(SessionFailed, match="enough") as caught:
            await run_log_protocol_session(
                host, ctx, body=body, protocol=EVERYTHING, on_caller_message=for_ever
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024, "a quarter of what was written"
    assert len(ctx.of("attention")) == 1
    assert caught.value.outcome.unsettled == messages


async def test_a_sender_that_fails_is_no_failure_of_the_session() -> None:
    async def dead(text: str) -> None:
        raise BrokenPipeError("the agent is gone")

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")

    ctx = RecordingCtx()
    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body, agent_sender=dead)
    assert outcome.ending is Ending.DONE
    assert len(outcome.problems) == 1
    assert any("the agent is gone" in message for message in ctx.messages)


async def test_copies_of_deliverables_are_freed_when_a_later_one_cannot_be_read(
    autojump_clock: Clock,
) -> None:
    host, opened = MemoryHost(), []
    real = DeliverableFile.__init__

    def noting(self: DeliverableFile, path: str) -> None:
        real(self, path)
        opened.append(self)
        if path == "b":
            raise OSError(5, "Input/output error")

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "x")
        host.deliver("b", "x")
        await trio.sleep_forever()

    async def on_file(hook_ctx: HookContext, file: DeliverableFile) -> None:
        pass

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SessionFailed, match="Input/output error"):
        patch.setattr(DeliverableFile, "__init__", noting)
        await run_log_protocol_session(host, RecordingCtx(), body=body, on_deliverable_file=on_file)
    with pytest.raises(ValueError, match="closed"):
        await opened[0].read()
    opened[1].close()


async def test_a_lane_that_only_refuses_keeps_nobody_from_working() -> None:
    class OnlyProgress:
        count = 0

        def report_progress(self, percent: float | None, message: str | None = None) -> None:
            self.count += 1

    ctx, most = OnlyProgress(), 0

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        nonlocal most
        host.write(*["BROWSER: http://x"] * 2000)
        while ctx.count < 2000:
            before = ctx.count
            await trio.lowlevel.checkpoint()
            most = max(most, ctx.count - before)
        host.write("DONE")

    await run_log_protocol_session(MemoryHost(), ctx, body=body, protocol=get_protocol(browser="redirect"))
    assert most <= 64
