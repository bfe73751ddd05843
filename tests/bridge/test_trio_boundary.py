"""Calling user code that is Trio code itself."""

from __future__ import annotations

import contextvars
from contextlib import suppress
from typing import NoReturn

import pytest
import trio
from outcome import Error, Outcome, Value
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.bridge import Abandoned, Boundary, StrayCancellation, TrioBoundary, run_in_trio
from tests.support.check_boundary import check_answers_silence_and_failures


async def test_run_in_trio_under_trio_is_a_plain_call() -> None:
    async def main(boundary: Boundary) -> trio.lowlevel.Task:
        assert isinstance(boundary, TrioBoundary)
        return trio.lowlevel.current_task()

    assert await run_in_trio(main) is trio.lowlevel.current_task()


async def test_call_returns_and_raises_what_user_code_does() -> None:
    group = ExceptionGroup("one", [ValueError("a")])

    async def double(number: int) -> int:
        return number * 2

    async def fail() -> NoReturn:
        raise group

    boundary = TrioBoundary()
    assert await boundary.call(double, 21, label="double") == 42
    with pytest.raises(ExceptionGroup) as caught:
        await boundary.call(fail, label="fail")
    assert caught.value is group


async def test_context_variables_of_the_caller_are_seen() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def look() -> str:
        return variable.get()

    variable.set("set")
    assert await TrioBoundary().call(look, label="look") == "set"


async def test_cancelling_the_caller_cancels_user_code_and_waits_for_its_cleanup() -> None:
    log: list[str] = []

    async def body() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            log.append("cleaned up")

    boundary = TrioBoundary()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: boundary.call(body, label="body"))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert log == ["cleaned up"]


async def test_user_code_is_not_called_for_a_cancelled_caller() -> None:
    called: list[str] = []

    async def body() -> None:
        called.append("body")

    with trio.CancelScope() as scope:
        scope.cancel()
        await TrioBoundary().call(body, label="body")
    assert scope.cancelled_caught
    assert called == []


async def test_user_code_that_ignores_cancellation_is_left_behind_and_named(
    autojump_clock: MockClock,
) -> None:
    abandoned: list[Abandoned] = []
    late: list[tuple[str, str]] = []
    release, over = trio.Event(), trio.Event()

    async def stubborn() -> None:
        try:
            with trio.CancelScope(shield=True):
                await release.wait()
            raise OSError("too late")
        finally:
            over.set()

    boundary = TrioBoundary()
    boundary.on_abandoned = abandoned.append
    boundary.on_late_failure = lambda label, failure: late.append((label, str(failure)))
    with trio.move_on_after(1) as scope:
        await boundary.call(stubborn, label="the body", grace=5.0)
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(6.0)
    assert [each.label for each in abandoned] == ["the body"]
    assert "stubborn (test_trio_boundary.py:" in abandoned[0].where
    release.set()
    await over.wait()
    await wait_all_tasks_blocked()
    assert late == [("the body", "too late")]


async def test_what_user_code_does_while_it_is_cancelled_is_not_lost(autojump_clock: MockClock) -> None:
    async def finishes() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(2)
        return "finished anyway"

    async def fails() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("cleanup failed")

    boundary = TrioBoundary()
    with trio.move_on_after(1):
        assert await boundary.call(finishes, label="finishes") == "finished anyway"
    with trio.move_on_after(1), pytest.raises(OSError, match="cleanup failed"):
        await boundary.call(fails, label="fails")


async def leak_a_cancellation() -> None:
    """Keep the `Cancelled` of an inner scope and raise it when that scope is long gone."""
    kept: list[trio.Cancelled] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            kept.append(cancelled)
            raise
    raise kept[0]


async def test_a_cancellation_that_nobody_asked_for_is_an_ordinary_exception() -> None:
    with pytest.raises(StrayCancellation, match="the callback let a cancellation escape"):
        await TrioBoundary().call(leak_a_cancellation, label="the callback")


async def test_call_each_gives_every_result_in_order() -> None:
    async def callback(number: int) -> int:
        await trio.lowlevel.checkpoint()
        if number == 2:
            raise ValueError("two")
        if number == 3:
            await leak_a_cancellation()
        return number

    results: list[tuple[int, Outcome[int]]] = []
    await TrioBoundary().call_each(
        callback,
        [(1,), (2,), (3,), (4,)],
        label="callback",
        on_result=lambda index, result: results.append((index, result)),
    )
    assert [index for index, _ in results] == [0, 1, 2, 3]
    assert results[0][1] == Value(1)
    assert isinstance(results[1][1], Error)
    assert isinstance(results[1][1].error, ValueError)
    assert isinstance(results[2][1], Error)
    assert isinstance(results[2][1].error, StrayCancellation)
    assert results[3][1] == Value(4)


async def test_call_each_does_not_call_again_after_a_swallowed_cancellation(
    autojump_clock: MockClock,
) -> None:
    called: list[int] = []

    async def callback(number: int) -> None:
        called.append(number)
        with suppress(trio.Cancelled):
            await trio.sleep_forever()

    with trio.move_on_after(1) as scope:
        await TrioBoundary().call_each(callback, [(0,), (1,)], label="callback", on_result=lambda *_: None)
    assert scope.cancelled_caught
    assert called == [0]


async def test_call_each_tells_answers_apart_from_silence_and_failures() -> None:
    await check_answers_silence_and_failures(TrioBoundary())


async def test_wait_flag_waits_for_a_trio_event() -> None:
    flag = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(TrioBoundary().wait_flag, flag)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        flag.set()


@pytest.mark.parametrize("exit_request", [KeyboardInterrupt("stop"), SystemExit(3)])
def test_a_request_to_exit_leaves_trio_run(exit_request: BaseException) -> None:
    async def callback() -> None:
        raise exit_request

    with pytest.raises(type(exit_request)) as caught:
        trio.run(lambda: TrioBoundary().call(callback, label="callback"))
    assert caught.value is exit_request
