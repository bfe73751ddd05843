"""What a session finds out about its ctx, and what is left of optio's grace."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.bridge import TrioBoundary
from optio_agents.session.optio_context import (
    POLL_INTERVAL,
    accepts_level,
    accepts_progress,
    can_be_cancelled,
    grace_left,
    is_cancelled,
    process_id,
    request_method,
    wait_cancelled,
)
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


def test_of_a_ctx_only_progress_is_required() -> None:
    ctx = SimpleNamespace(report_progress=lambda percent, message: None)
    assert accepts_progress(ctx)
    assert not accepts_level(ctx)
    assert process_id(ctx) is None
    assert request_method(ctx, "ATTENTION") is None
    assert not accepts_progress(object())
    assert not accepts_progress(SimpleNamespace(report_progress=None))


def test_what_a_ctx_has_is_found() -> None:
    class Full:
        process_id = "it"

        def report_progress(self, percent: float | None, message: str, *, level: str = "info") -> None: ...

        async def client_message(self, keyword: str, data: object) -> None: ...

    ctx = Full()
    assert accepts_level(ctx)
    assert process_id(ctx) == "it"
    assert request_method(ctx, "CLIENT_MESSAGE") == ctx.client_message


def test_a_signature_that_cannot_be_read_is_taken_to_lack_the_level() -> None:
    assert not accepts_level(SimpleNamespace(report_progress=max))
