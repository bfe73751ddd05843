"""Phrases that task packages look for in progress and in failures, and hosts that can do very little."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from optio_agents import HookContext, run_log_protocol_session
from optio_agents.protocol.session import Ending, SessionFailed
from tests.support.session import MemoryHost, RecordingCtx


async def ends(host: Any, hook_ctx: HookContext) -> None:
    await trio.lowlevel.checkpoint()


async def fails(*args: Any) -> None:
    raise RuntimeError("its own failure")


def said(ctx: RecordingCtx, phrase: str) -> bool:
    return any(phrase in message for message in ctx.messages)


async def test_a_body_that_ends_too_soon() -> None:
    with pytest.raises(SessionFailed, match="body returned before DONE"):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=ends)


@pytest.mark.parametrize(
    ("path", "content", "phrases"),
    [
        ("../x", None, ("invalid deliverable path", "not under deliverables/")),
        ("a\0b", None, ("invalid deliverable path",)),
        ("missing", None, ("not under deliverables/",)),
        ("bad", b"\xff", ("not valid UTF-8",)),
        ("good", b"text", ("on_deliverable callback raised for good: RuntimeError('its own failure')",)),
    ],
)
async def test_what_is_wrong_with_a_deliverable_is_progress(
    path: str, content: bytes | None, phrases: tuple[str, ...]
) -> None:
    ctx = RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        if content is None:
            host.write(f"DELIVERABLE: deliverables/{path}")
        else:
            host.deliver(path, content)
        host.write("DONE")
        await trio.sleep_forever()

    await run_log_protocol_session(MemoryHost(), ctx, body=body, on_deliverable=fails)
    for phrase in phrases:
        assert said(ctx, phrase), ctx.messages


async def test_a_message_that_the_agent_cannot_get_is_progress() -> None:
    ctx = RecordingCtx()
    hook_ctx = HookContext(ctx, MemoryHost())
    assert not await hook_ctx.send_to_agent("hello")
    assert said(ctx, "no channel")
    hook_ctx._agent_sender = fails
    assert not await hook_ctx.send_to_agent("hello")
    assert said(ctx, "send_to_agent failed: RuntimeError('its own failure')")


async def test_a_last_hook_that_fails_after_a_failure_is_progress() -> None:
    ctx = RecordingCtx()
    with pytest.raises(SessionFailed, match="before DONE") as caught:
        await run_log_protocol_session(MemoryHost(), ctx, body=ends, after_execute=fails)
    assert said(ctx, "after_execute callback raised: RuntimeError('its own failure')")
    assert [type(each) for each in caught.value.others] == [RuntimeError]


class SmallHost:
    """A host that cannot follow a log, nor read a file."""

    workdir = "/work"

    async def setup_workdir(self) -> None:
        await trio.lowlevel.checkpoint()

    async def write_text(self, path: str, text: str) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("failing", ["body", "before_execute", "prepare"])
async def test_without_a_way_to_follow_the_log_the_caller_s_own_failure_comes_out(failing: str) -> None:
    hooks: dict[str, Any] = {"body": ends, failing: fails}
    with pytest.raises(RuntimeError, match="its own failure"):
        await run_log_protocol_session(SmallHost(), RecordingCtx(), **hooks)


async def test_without_a_way_to_follow_the_log_the_session_does_not_succeed() -> None:
    with pytest.raises(SessionFailed, match="no way to read the log"):
        await run_log_protocol_session(SmallHost(), RecordingCtx(), body=ends)


async def test_a_log_that_can_be_read_only_at_the_end_is_judged_at_the_end() -> None:
    class ReadableHost(SmallHost):
        async def fetch_bytes_from_host(self, path: str) -> bytes:
            await trio.lowlevel.checkpoint()
            return b"STATUS: 50% half\nDONE: all of it\n"

    ctx = RecordingCtx()
    outcome = await run_log_protocol_session(ReadableHost(), ctx, body=ends)
    assert (outcome.ending, outcome.message) == (Ending.DONE, "all of it")
    assert ctx.of("progress")[0] == (50, "half")


async def test_a_log_that_is_lost_while_the_rest_is_read_does_not_hide_the_body_s_failure(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class DyingHost(SmallHost):
        def tail_file(self, path: str) -> Any:
            raise OSError("the connection is gone")

    with pytest.raises(RuntimeError, match="its own failure") as caught:
        await run_log_protocol_session(DyingHost(), RecordingCtx(), body=fails)
    assert any("the connection is gone" in note for note in caught.value.__notes__)
