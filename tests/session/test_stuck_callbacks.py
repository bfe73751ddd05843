"""User code that is stuck or ignores its cancellation: the drain and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from optio_agents import HookContext, run_log_protocol_session
from optio_agents.protocol.session import (
    Ending,
    SessionFailed,
    SessionOptions,
    SessionOutcome,
)
from optio_agents.session.events import SessionEvent
from tests.support.bodies import for_ever, ignoring, writing
from tests.support.session import MemoryHost, RecordingCtx

Clock = trio.testing.MockClock


async def test_progress_extends_the_drain(autojump_clock: Clock) -> None:
    """A thousand good deliverables, then DONE: each takes a second, the drain deadline is 30 s."""
    host, told = MemoryHost(), []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        await trio.sleep(1)

    async def sender(message: str) -> None:
        told.append(message)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for number in range(1000):
            host.deliver(str(number), "x")
        host.write("DONE")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        host, RecordingCtx(), body=body, on_deliverable=on_deliverable, agent_sender=sender
    )
    assert (outcome.deliverable_count, outcome.unsettled, len(told)) == (1000, 0, 1000)


@pytest.mark.parametrize("stuck", ["on_deliverable", "agent_sender", "ctx.need_attention", "body"])
@pytest.mark.parametrize("way", ["optio", "caller"])
async def test_user_code_that_ignores_its_cancellation_is_named_and_does_not_hold_the_session(
    stuck: str, way: str, autojump_clock: Clock
) -> None:
    host, ctx, release = MemoryHost(), RecordingCtx(), trio.Event()
    ended: list[SessionOutcome] = []
    scope = trio.CancelScope()
    stubborn = ignoring(release)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "a")
        host.write("ATTENTION: x")
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel() if way == "caller" else ctx.cancellation_flag.set()
        await (stubborn() if stuck == "body" else trio.sleep_forever())

    arguments: dict[str, Any] = {}
    if stuck == "ctx.need_attention":
        ctx.need_attention = stubborn  # type: ignore[method-assign]
    elif stuck != "body":
        arguments[stuck] = stubborn

    def observe(event: SessionEvent) -> None:
        if hasattr(event, "outcome"):
            ended.append(event.outcome)

    with scope:
        await run_log_protocol_session(
            host, ctx, body=body, options=SessionOptions(on_event=observe, cancel_grace=2.0), **arguments
        )
    assert trio.current_time() == 2.0
    assert ended[0].ending is Ending.CANCELLED
    (abandoned,) = ended[0].abandoned
    assert abandoned.startswith(f"{stuck} at ")
    assert "bodies.py" in abandoned
    release.set()


async def test_a_callback_that_swallows_its_cancellation_does_not_get_the_next_deliverable(
    autojump_clock: Clock,
) -> None:
    host, ctx, called = MemoryHost(), RecordingCtx(), []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        called.append(path)
        ctx.cancellation_flag.set()
        with trio.CancelScope(shield=True):
            await trio.sleep(1)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for name in "abc":
            host.deliver(name, "")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(host, ctx, body=body, on_deliverable=on_deliverable)
    assert called == ["a"]
    assert outcome.ending is Ending.CANCELLED
    assert outcome.unsettled == 2 + 1, "two were not handed over, and the reply to one was not sent"


async def test_a_callback_that_was_left_behind_changes_nothing_any_more(autojump_clock: Clock) -> None:
    host, ctx, release, called = MemoryHost(), RecordingCtx(), trio.Event(), []
    events: list[SessionEvent] = []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        called.append(path)
        ctx.cancellation_flag.set()
        await ignoring(release)()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.deliver("b", "")
        await trio.sleep_forever()

    await run_log_protocol_session(
        host, ctx, body=body, on_deliverable=on_deliverable, options=SessionOptions(on_event=events.append)
    )
    before = (list(called), len(events), len(ctx.calls))
    release.set()
    await trio.testing.wait_all_tasks_blocked()
    assert (called, len(events), len(ctx.calls)) == before


async def test_done_with_a_stuck_callback_is_a_failure_that_says_so(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for name in "abc":
            host.deliver(name, "")
        host.write("DONE")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match=r"DONE, but 3 .* not settled within 7 s") as caught:
        await run_log_protocol_session(
            host, RecordingCtx(), body=body, on_deliverable=for_ever, options=SessionOptions(drain_timeout=7)
        )
    assert caught.value.outcome.unsettled == 3
    assert trio.current_time() == 7.0


async def test_done_with_a_stuck_sender_is_a_failure_that_says_so(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.deliver("b", "")
        host.write("DONE")
        await trio.sleep_forever()

    with pytest.raises(
        SessionFailed, match=r"DONE, but 2 .*messages to the agent were not settled"
    ) as caught:
        await run_log_protocol_session(host, RecordingCtx(), body=body, agent_sender=for_ever)
    assert len(caught.value.outcome.deliverables) == 2
    assert trio.current_time() == 30.0


@pytest.mark.parametrize("name", ["../outside", "missing", "a"])
async def test_a_stuck_sender_does_not_hide_the_error_on_the_next_line(
    name: str, autojump_clock: Clock
) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        if name == "a":
            host.deliver("a", "")
        else:
            host.write(f"DELIVERABLE: ./deliverables/{name}")  # rejected, which is answered, too
        host.write("ERROR: out of tokens")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match="out of tokens"):
        await run_log_protocol_session(host, RecordingCtx(), body=body, agent_sender=for_ever)
    assert trio.current_time() == 30.0  # the time to drain, and no more


async def test_a_callback_that_ends_just_after_the_drain_deadline_does_not_hide_what_happened(
    autojump_clock: Clock,
) -> None:
    async def slow(hook_ctx: HookContext, path: str, text: str) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(32)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match=r"DONE, but 1 .* not settled"):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, on_deliverable=slow)


async def test_a_request_to_exit_waits_for_no_callback(autojump_clock: Clock) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        await trio.testing.wait_all_tasks_blocked()
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, on_deliverable=for_ever)
    assert trio.current_time() == 0.0


async def test_no_time_to_drain_is_enough_where_nothing_waits() -> None:
    outcome = await run_log_protocol_session(
        MemoryHost(), RecordingCtx(), body=writing("DONE"), options=SessionOptions(drain_timeout=0)
    )
    assert outcome.ending is Ending.DONE
