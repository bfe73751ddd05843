"""A session from its first step to its outcome, over a host in memory and in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol.session import Ending, SessionFailed, SessionOptions, SessionOutcome
from optio_agents.session.events import SessionEvent
from tests.support.session import MemoryHost, RecordingCtx


async def run(host: MemoryHost, ctx: RecordingCtx, body: Any, **more: Any) -> SessionOutcome:
    return await run_log_protocol_session(host, ctx, body=body, **more)


async def for_ever(host: Any, hook_ctx: HookContext) -> None:
    await trio.sleep_forever()


def writing(*lines: str, then: Any = None) -> Any:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*lines)
        if then is not None:
            await then(host, hook_ctx)

    return body


async def test_done_ends_the_session_well() -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    outcome = await run(host, ctx, writing("STATUS: 40% working", "hello", "DONE: all of it", then=for_ever))
    assert outcome.ending is Ending.DONE
    assert outcome.message == "all of it"
    assert ctx.of("progress") == [(40, "working"), (None, "hello"), (None, "all of it")]
    assert host.readers == 0


async def test_phases_come_in_order() -> None:
    host, ctx, order = MemoryHost(), RecordingCtx(), []

    def noting(name: str) -> Any:
        async def hook(*args: Any) -> None:
            order.append(name)
            assert isinstance(args[-1], HookContext)

        return hook

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        order.append("body")
        host.write("DONE")

    await run(
        host,
        ctx,
        body,
        prepare=noting("prepare"),
        before_execute=noting("before"),
        after_execute=noting("after"),
    )
    assert order == ["prepare", "before", "body", "after"]
    assert host.calls == ["setup_workdir", "prepare_channel"]


async def test_error_is_a_failure_with_its_message() -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    with pytest.raises(SessionFailed, match="no disk") as caught:
        await run(host, ctx, writing("ERROR: no disk", then=for_ever))
    assert caught.value.outcome.ending is Ending.ERROR


async def test_a_body_that_returns_before_done_is_a_failure() -> None:
    with pytest.raises(SessionFailed, match="before DONE") as caught:
        await run(MemoryHost(), RecordingCtx(), writing("STATUS: 1% x"))
    assert caught.value.outcome.ending is Ending.BODY_ENDED


async def test_what_the_body_raises_is_raised_the_same_object() -> None:
    crash = ExceptionGroup("of the body", [ValueError("x")])

    async def body(host: Any, hook_ctx: HookContext) -> None:
        raise crash

    with pytest.raises(ExceptionGroup) as caught:
        await run(MemoryHost(), RecordingCtx(), body)
    assert caught.value is crash


@pytest.mark.parametrize("steps", [0, 1, 5, 50])
async def test_done_then_a_crash_is_done_whenever_the_crash_comes(steps: int) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write("DONE")
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        raise RuntimeError("crash")

    outcome = await run(MemoryHost(), RecordingCtx(), body)
    assert outcome.ending is Ending.DONE


async def test_each_kind_of_line_reaches_its_place() -> None:
    host, ctx, sent, asked = MemoryHost(), RecordingCtx(), [], []

    async def sender(text: str) -> None:
        sent.append(text)

    async def on_caller_message(hook_ctx: HookContext, keyword: str, data: Any) -> str | None:
        asked.append((keyword, data))
        return "answer" if keyword == "question" else None

    await run(
        host,
        ctx,
        writing(
            'BROWSER: "https://x"',
            "ATTENTION: look",
            'CLIENT_MESSAGE: key {"a": 1}',
            "CALLER_MESSAGE: question [1]",
            "CALLER_MESSAGE: note null",
            "DONE",
            then=for_ever,
        ),
        protocol=get_protocol(browser="redirect", client_messages=True, caller_messages=True),
        on_caller_message=on_caller_message,
        browser_url_rewrite=lambda url: url + "/rewritten",
        agent_sender=sender,
    )
    assert ctx.of("browser") == [("https://x/rewritten",)]
    assert ctx.of("attention") == [("look",)]
    assert ctx.of("client") == [("key", {"a": 1})]
    assert asked == [("question", [1]), ("note", None)]
    assert sent == ["System: answer"]


async def test_deliverables_are_handed_over_and_answered_in_order() -> None:
    host, ctx, sent, got = MemoryHost(), RecordingCtx(), [], []

    async def sender(text: str) -> None:
        sent.append(text)

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str | None:
        got.append((path, text))
        if path == "c.txt":
            raise RuntimeError("disk")
        return "please redo" if path == "b.txt" else None

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a.txt", "A")
        host.deliver("b.txt", "B")
        host.deliver("c.txt", "C")
        host.deliver("d.bin", b"\xff\xfe")
        host.write("DELIVERABLE: ../../etc/passwd", "DELIVERABLE: missing.txt", "DONE")
        await trio.sleep_forever()

    outcome = await run(host, ctx, body, on_deliverable=on_deliverable, agent_sender=sender)
    assert got == [("a.txt", "A"), ("b.txt", "B"), ("c.txt", "C")]
    assert len(sent) == 6
    assert [record.accepted for record in outcome.deliverables] == [True, False, False, False, False, False]
    assert sent[0].startswith("System: deliverable a.txt: accepted")
    assert "please redo" in sent[1]
    assert "Deliverable: a.txt" in ctx.messages


async def test_three_deliverables_then_error_are_all_answered_before_the_failure() -> None:
    host, sent = MemoryHost(), []

    async def sender(text: str) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(text)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for name in "abc":
            host.deliver(name, name)
        host.write("ERROR: enough")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match="enough") as caught:
        await run(host, RecordingCtx(), body, agent_sender=sender)
    assert len(sent) == 3
    assert len(caught.value.outcome.deliverables) == 3


async def test_optio_s_cancel_returns_without_error() -> None:
    ctx = RecordingCtx()

    async def body(host: Any, hook_ctx: HookContext) -> None:
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run(MemoryHost(), ctx, body)
    assert outcome.ending is Ending.CANCELLED


async def test_the_caller_s_cancel_propagates_after_the_teardown() -> None:
    ran = []

    async def after(hook_ctx: HookContext) -> None:
        await trio.lowlevel.checkpoint()
        ran.append("after")

    with trio.CancelScope() as scope:

        async def body(host: Any, hook_ctx: HookContext) -> None:
            scope.cancel()
            await trio.sleep_forever()

        await run(MemoryHost(), RecordingCtx(), body, after_execute=after)
        pytest.fail("a cancelled session must not return")
    assert scope.cancelled_caught
    assert ran == ["after"]


async def test_a_reader_that_is_lost_resumes_where_it_was(autojump_clock: trio.testing.MockClock) -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    host.lose_reader_at = {0, 9, 18}

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for number in range(6):
            host.write(f"line-{number:03d}")
            await trio.sleep(1)
        host.write("DONE")
        await trio.sleep_forever()

    outcome = await run(host, ctx, body)
    lines = [message for message in ctx.messages if message.startswith("line-")]
    assert lines == [f"line-{number:03d}" for number in range(6)]
    assert len(outcome.problems) == 3
    assert outcome.ending is Ending.DONE


async def test_events_tell_an_observer_everything_in_order() -> None:
    host, events = MemoryHost(), []

    def observe(event: SessionEvent) -> None:
        events.append(type(event).__name__)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write("STATUS: 1% a")
        host.deliver("x", "y")
        host.write("DONE")
        await trio.sleep_forever()

    await run(host, RecordingCtx(), body, options=SessionOptions(on_event=observe))
    assert events == [
        "ProgressReported",
        "ProgressReported",
        "DeliverableSettled",
        "ProgressReported",
        "MessageSent",
        "Ended",
    ]
