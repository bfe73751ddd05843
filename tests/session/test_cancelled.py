"""Sessions that are cancelled, by optio or the caller, in each phase."""

from __future__ import annotations

import os
from typing import Any

import pytest
import trio
import trio.testing

from actors.testing import run_seeded
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol.session import (
    Ending,
    SessionFailed,
    SessionOutcome,
)
from tests.support.bodies import for_ever, ignoring, writing
from tests.support.session import MemoryHost, RecordingCtx

Clock = trio.testing.MockClock
EVERYTHING = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


@pytest.mark.parametrize("phase", ["before the start", "setup_workdir", "prepare", "before_execute"])
@pytest.mark.parametrize("way", ["optio", "caller"])
async def test_a_cancel_during_the_set_up_returns_at_once_and_launches_no_agent(
    phase: str, way: str, autojump_clock: Clock
) -> None:
    host, ctx, ran = MemoryHost(), RecordingCtx(), []
    scope = trio.CancelScope()

    async def stop(*args: Any) -> None:
        scope.cancel() if way == "caller" else ctx.cancellation_flag.set()
        await trio.sleep(3600)

    async def body(*args: Any) -> None:
        ran.append("body")

    async def after(hook_ctx: HookContext) -> None:
        ran.append("after")

    hooks: dict[str, Any] = {}
    if phase == "before the start":
        scope.cancel() if way == "caller" else ctx.cancellation_flag.set()
    elif phase == "setup_workdir":
        host.setup_workdir = stop  # type: ignore[method-assign]
    else:
        hooks[phase] = stop
    outcome = None
    with scope:
        outcome = await run_log_protocol_session(host, ctx, body=body, after_execute=after, **hooks)
    assert trio.current_time() == 0.0
    assert ran == ([] if phase == "before the start" else ["after"])
    if way == "caller":
        assert scope.cancelled_caught
    else:
        assert outcome is not None
        assert outcome.ending is Ending.CANCELLED


@pytest.mark.parametrize("keywords", [True, False])
def test_a_cancel_as_the_last_act_of_before_execute_launches_no_agent(keywords: bool) -> None:
    for seed in range(50):
        ctx, ran = RecordingCtx(), []

        async def before(hook_ctx: HookContext) -> None:
            ctx.cancellation_flag.set()  # noqa: B023

        async def body(*args: Any) -> None:
            ran.append("body")  # noqa: B023

        async def session() -> SessionOutcome:
            return await run_log_protocol_session(
                MemoryHost(),
                ctx,  # noqa: B023
                body=body,
                before_execute=before,
                keywords=keywords,
            )

        outcome = run_seeded(session, seed=seed)
        assert outcome.ending is Ending.CANCELLED
        assert ran == []


async def test_optio_s_cancel_after_done_cuts_the_drain_short(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")
        await trio.sleep(3)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body, on_deliverable=for_ever)
    assert outcome.ending is Ending.CANCELLED
    assert outcome.unsettled == 1
    assert trio.current_time() == 3.0


@pytest.mark.parametrize("stubborn", [False, True])
async def test_an_after_execute_that_never_returns_meets_its_deadline(
    stubborn: bool, autojump_clock: Clock
) -> None:
    release = trio.Event()
    hook = ignoring(release) if stubborn else for_ever
    with pytest.raises(SessionFailed, match="after_execute did not end within 60 s") as caught:
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=hook)
    assert trio.current_time() == (61.0 if stubborn else 60.0)
    assert len(caught.value.outcome.abandoned) == stubborn
    release.set()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_optios_cancel_leaves_after_execute_its_grace_only(
    stubborn: bool, autojump_clock: Clock
) -> None:
    release, ctx = trio.Event(), RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    hook = ignoring(release) if stubborn else for_ever
    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body, after_execute=hook)
    assert outcome.ending is Ending.CANCELLED
    assert any("after_execute was cut off" in problem for problem in outcome.problems)
    assert trio.current_time() == (6.0 if stubborn else 5.0)
    assert len(outcome.abandoned) == stubborn
    release.set()


async def test_optios_cancel_during_after_execute_leaves_it_its_grace_only(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()

    async def after(hook_ctx: HookContext) -> None:
        await trio.sleep(10)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=writing("DONE"), after_execute=after)
    assert outcome.ending is Ending.DONE
    assert trio.current_time() == 15.0


async def test_the_callers_cancel_leaves_after_execute_its_grace_only(autojump_clock: Clock) -> None:
    with trio.CancelScope() as scope:

        async def after(hook_ctx: HookContext) -> None:
            scope.cancel()
            await trio.sleep_forever()

        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=after
        )
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert trio.current_time() == 5.0


async def test_a_timeout_of_after_execute_s_own_is_not_taken_for_ours(autojump_clock: Clock) -> None:
    async def after(hook_ctx: HookContext) -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError):
        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=after
        )


async def test_a_cancel_during_after_execute_lets_it_finish_and_is_not_lost(autojump_clock: Clock) -> None:
    ran = []
    with trio.CancelScope() as scope:

        async def after(hook_ctx: HookContext) -> None:
            scope.cancel()
            await trio.sleep(1)
            ran.append("all of it")

        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=after
        )
        await trio.lowlevel.checkpoint()
        pytest.fail("the cancellation was lost")
    assert ran == ["all of it"]
    assert scope.cancelled_caught


async def test_a_cancelled_session_still_says_how_long_it_ran(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()

    async def body(*args: Any) -> None:
        await trio.sleep(3)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body)
    assert outcome.timings.run == 3.0


async def test_a_flood_leaves_no_file_behind_when_it_is_cancelled(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()
    before = len(os.listdir("/proc/self/fd"))

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*[f'CALLER_MESSAGE: k "{"x" * 8000}"'] * 200)
        await trio.sleep(10)
        assert before < len(os.listdir("/proc/self/fd")) < before + 4, "the queue goes on in files"
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        MemoryHost(), ctx, body=body, protocol=EVERYTHING, on_caller_message=for_ever
    )
    assert outcome.unsettled == 200
    assert len(os.listdir("/proc/self/fd")) == before
