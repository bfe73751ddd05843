"""How a session learns that optio asks for its end, and what is left of optio's grace."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from optio_agents.bridge import TrioBoundary
from optio_agents.session.cancel_watch import (
    POLL_INTERVAL,
    can_be_cancelled,
    grace_left,
    is_cancelled,
    wait_cancelled,
    watch,
)
from optio_agents.session.verdict import CancelAsked
from tests.support.session import RecordingCtx


class Asked:
    """A ctx without a flag; `answers` are what it says, one after another."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)

    def should_continue(self) -> bool:
        return self.answers.pop(0)


async def test_the_flag_of_a_ctx_is_waited_for() -> None:
    ctx = RecordingCtx()
    assert can_be_cancelled(ctx)
    assert not is_cancelled(ctx)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_cancelled, TrioBoundary(), ctx)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        ctx.cancellation_flag.set()
    assert is_cancelled(ctx)


async def test_a_ctx_without_a_flag_is_asked_at_intervals(autojump_clock: MockClock) -> None:
    ctx = Asked(True, True, False)
    assert can_be_cancelled(ctx)
    start = trio.current_time()
    await wait_cancelled(TrioBoundary(), ctx)
    assert trio.current_time() - start == pytest.approx(2 * POLL_INTERVAL)
    assert (is_cancelled(Asked(True)), is_cancelled(Asked(False))) == (False, True)


async def test_a_ctx_that_cannot_say_so_is_never_cancelled(autojump_clock: MockClock) -> None:
    assert not can_be_cancelled(object())
    assert not is_cancelled(object())
    with trio.move_on_after(1000) as waiting:
        await wait_cancelled(TrioBoundary(), object())
    assert waiting.cancelled_caught


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


def entry(deadline: object, process: str = "it") -> Any:
    flags = {process: SimpleNamespace(deadline=deadline)}
    return SimpleNamespace(_executor=SimpleNamespace(_cancellation_flags=flags), _process_oid="it")


def test_what_is_left_of_optios_grace() -> None:
    left = grace_left(entry(time.monotonic() + 60))
    assert left is not None
    assert 50 < left <= 60
    left = grace_left(entry(int(time.monotonic()) + 60))
    assert left is not None


@pytest.mark.parametrize(
    "ctx",
    [
        object(),
        SimpleNamespace(_executor=None),
        SimpleNamespace(_executor=SimpleNamespace(_cancellation_flags=["it"]), _process_oid="it"),
        entry(None),
        entry("soon"),
        entry(5.0, "another"),
    ],
)
def test_a_grace_that_is_unknown_is_none(ctx: Any) -> None:
    assert grace_left(ctx) is None
