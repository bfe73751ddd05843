"""after_execute: shielded, under a deadline, hurried by a cancellation."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from optio_agents.session.last_hook import CUT_OFF_SECONDS, RESERVE_SECONDS, LastHook
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import Ending, SessionFailed
from optio_agents.session.plan import Plan
from tests.support.session import RecordingCtx
from tests.support.session_parts import plan_of

OPTIONS = SessionOptions(after_execute_timeout=60, cancel_grace=5)


async def for_ever(hook_ctx: object) -> None:
    await trio.sleep_forever()


async def run(plan: Plan, hook: Any) -> tuple[BaseException | None, float]:
    """What it returned, and how long it took."""
    start = trio.current_time()
    failure = await LastHook(plan, hook).run()
    return failure, trio.current_time() - start


def problems(plan: Plan) -> tuple[str, ...]:
    return plan.recorder.outcome(Ending.DONE, None).problems


async def test_it_gets_the_hook_context_and_returns_nothing_when_all_is_well() -> None:
    plan, got = plan_of(options=OPTIONS), []

    async def hook(hook_ctx: object) -> None:
        got.append(hook_ctx)

    assert await LastHook(plan, hook).run() is None
    assert got == [plan.hook_context]
    assert problems(plan) == ()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), TimeoutError(), trio.TooSlowError()])
async def test_what_it_raises_is_returned(error: BaseException) -> None:
    async def hook(hook_ctx: object) -> None:
        raise error

    assert await LastHook(plan_of(options=OPTIONS), hook).run() is error


async def test_it_is_cut_off_at_its_deadline_which_is_a_failure(autojump_clock: MockClock) -> None:
    plan = plan_of(options=OPTIONS)
    failure, seconds = await run(plan, for_ever)
    assert seconds == pytest.approx(60)
    assert isinstance(failure, SessionFailed)
    assert "60 s" in str(failure)
    assert failure.outcome.ending is Ending.FAILED


async def test_one_that_ignores_its_cancellation_is_left_behind_soon(autojump_clock: MockClock) -> None:
    release = trio.Event()

    async def hook(hook_ctx: object) -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    _, seconds = await run(plan_of(options=OPTIONS), hook)
    assert seconds == pytest.approx(60 + CUT_OFF_SECONDS)
    release.set()
    await trio.testing.wait_all_tasks_blocked()


async def test_a_cancel_by_optio_leaves_it_the_grace_and_is_a_problem_on_record(
    autojump_clock: MockClock,
) -> None:
    ctx = RecordingCtx()
    ctx.cancellation_flag.set()
    plan = plan_of(ctx=ctx, options=OPTIONS)
    failure, seconds = await run(plan, for_ever)
    assert failure is None
    assert seconds == pytest.approx(5)
    (problem,) = problems(plan)
    assert "5.0 s" in problem


async def test_a_cancel_while_it_runs_counts_from_then_on(autojump_clock: MockClock) -> None:
    ctx = RecordingCtx()

    async def hook(hook_ctx: object) -> None:
        await trio.sleep(10)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    _, seconds = await run(plan_of(ctx=ctx, options=OPTIONS), hook)
    assert seconds == pytest.approx(15)


async def test_a_cancel_just_before_its_deadline_gives_it_no_more_time(autojump_clock: MockClock) -> None:
    ctx = RecordingCtx()

    async def hook(hook_ctx: object) -> None:
        await trio.sleep(58)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    failure, seconds = await run(plan_of(ctx=ctx, options=OPTIONS), hook)
    assert seconds == pytest.approx(60)
    assert isinstance(failure, SessionFailed)


async def test_the_callers_cancel_leaves_it_the_grace_and_is_raised_afterwards(
    autojump_clock: MockClock,
) -> None:
    ended = []

    async def hook(hook_ctx: object) -> None:
        await trio.sleep(2)
        ended.append(trio.current_time() - start)

    start = trio.current_time()
    with trio.CancelScope() as scope:
        scope.cancel()
        assert await LastHook(plan_of(options=OPTIONS), hook).run() is None
        assert ended == [pytest.approx(2)]
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    with trio.move_on_after(1):
        await LastHook(plan_of(options=OPTIONS), for_ever).run()
    assert trio.current_time() - start == pytest.approx(2 + 1 + 5)


@pytest.mark.parametrize(
    ("left", "expected"),
    [(100.0, 5.0), (6.0, 6.0 - CUT_OFF_SECONDS - RESERVE_SECONDS), (2.0, 2.0 * 0.65), (-3.0, 0.0)],
)
async def test_of_optios_own_grace_something_is_kept_for_what_comes_after(
    autojump_clock: MockClock, left: float, expected: float
) -> None:
    ctx: Any = RecordingCtx()
    flags = {"it": SimpleNamespace(deadline=time.monotonic() + left)}
    ctx._executor, ctx._process_oid = SimpleNamespace(_cancellation_flags=flags), "it"
    ctx.cancellation_flag.set()
    _, seconds = await run(plan_of(ctx=ctx, options=OPTIONS), for_ever)
    assert seconds == pytest.approx(expected, abs=0.2)
