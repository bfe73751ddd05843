"""Calling asyncio code from the Trio guest of the same thread."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import pytest
import sniffio
import trio
from outcome import Error, Outcome, Value

from optio_agents.bridge import Abandoned, Boundary, StrayCancellation, run_in_trio
from tests.support.check_boundary import check_answers_silence_and_failures

T = TypeVar("T")
HANG = 60.0


def run(main: Callable[[Boundary], Awaitable[T]]) -> T:
    """Run `main` as a session of a fresh asyncio loop."""

    async def program() -> T:
        async with asyncio.timeout(HANG):
            return await run_in_trio(main)

    return asyncio.run(program())


def test_call_returns_what_the_coroutine_function_returns() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    async def main(boundary: Boundary) -> int:
        return await boundary.call(double, 21, label="double")

    assert run(main) == 42


def test_user_code_is_in_asyncio_as_far_as_it_can_tell() -> None:
    async def look() -> tuple[str, bool]:
        return sniffio.current_async_library(), asyncio.current_task() is not None

    async def main(boundary: Boundary) -> tuple[str, bool]:
        assert sniffio.current_async_library() == "trio"
        return await boundary.call(look, label="look")

    assert run(main) == ("asyncio", True)


def test_any_awaitable_will_do() -> None:
    def deferred() -> asyncio.Future[str]:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "late")
        return future

    async def main(boundary: Boundary) -> str:
        return await boundary.call(deferred, label="deferred")

    assert run(main) == "late"


def test_an_exception_is_the_same_object_on_the_other_side() -> None:
    group = ExceptionGroup("two", [ValueError("a"), TypeError("b")])

    async def fail() -> NoReturn:
        raise group

    async def main(boundary: Boundary) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await boundary.call(fail, label="fail")
        assert caught.value is group

    run(main)


def test_a_function_that_fails_before_it_returns_an_awaitable_fails_the_call() -> None:
    def fail() -> Awaitable[None]:
        raise LookupError("no awaitable")

    async def main(boundary: Boundary) -> None:
        with pytest.raises(LookupError):
            await boundary.call(fail, label="fail")

    run(main)


def test_context_variables_of_the_caller_are_seen_on_both_sides() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def look() -> str:
        return variable.get()

    async def main(boundary: Boundary) -> tuple[str, str]:
        return variable.get(), await boundary.call(look, label="look")

    async def program() -> tuple[tuple[str, str], ...]:
        async def caller(value: str) -> tuple[str, str]:
            variable.set(value)
            return await run_in_trio(main)

        return tuple(await asyncio.gather(caller("one"), caller("two"), caller("three")))

    assert asyncio.run(program()) == (("one", "one"), ("two", "two"), ("three", "three"))


def test_cancelling_the_caller_cancels_user_code_and_waits_for_its_cleanup() -> None:
    log: list[str] = []

    async def body(started: trio.Event) -> None:
        started.set()
        try:
            await asyncio.sleep(HANG)
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            log.append("cleaned up")

    async def main(boundary: Boundary) -> None:
        started = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: boundary.call(body, started, label="body"))
            await started.wait()
            nursery.cancel_scope.cancel()
        assert log == ["cleaned up"]

    run(main)


def test_user_code_is_not_called_for_a_cancelled_caller() -> None:
    called: list[str] = []

    async def body() -> None:
        called.append("body")

    async def main(boundary: Boundary) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await boundary.call(body, label="body")
        assert scope.cancelled_caught

    run(main)
    assert called == []


def test_a_call_cancelled_before_the_first_step_of_its_task() -> None:
    called: list[str] = []

    async def body() -> None:
        called.append("body")

    async def main(boundary: Boundary) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: boundary.call(body, label="body"))
            nursery.start_soon(cancel_soon, nursery.cancel_scope)

    async def cancel_soon(scope: trio.CancelScope) -> None:
        scope.cancel()

    run(main)
    assert called in ([], ["body"])


async def stubborn(started: trio.Event, release: asyncio.Event) -> str:
    started.set()
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            continue
    return "released"


def test_user_code_that_ignores_cancellation_is_left_behind_and_named() -> None:
    abandoned: list[Abandoned] = []
    late: list[tuple[str, BaseException]] = []

    async def program() -> None:
        release = asyncio.Event()

        async def fails_late(started: trio.Event) -> None:
            await stubborn(started, release)
            raise OSError("too late")

        async def main(boundary: Boundary) -> None:
            boundary.on_abandoned = abandoned.append
            boundary.on_late_failure = lambda label, failure: late.append((label, failure))
            started = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: boundary.call(fails_late, started, label="the body", grace=0.01))
                await started.wait()
                nursery.cancel_scope.cancel()

        await run_in_trio(main)
        late_at_the_end = list(late)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        release.set()
        await asyncio.wait(others)
        assert [each.label for each in abandoned] == ["the body"]
        assert "stubborn (test_asyncio_boundary.py:" in abandoned[0].where
        assert len(others) == 1
        assert late_at_the_end == []
        assert [(label, str(failure)) for label, failure in late] == [("the body", "too late")]

    asyncio.run(program())


def test_a_value_returned_in_spite_of_a_cancellation_is_returned() -> None:
    async def body(started: trio.Event) -> str:
        started.set()
        try:
            await asyncio.sleep(HANG)
        except asyncio.CancelledError:
            return "finished anyway"
        return "?"

    async def main(boundary: Boundary) -> str:
        started = trio.Event()
        results: list[str] = []

        async def call() -> None:
            results.append(await boundary.call(body, started, label="body"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await started.wait()
            nursery.cancel_scope.cancel()
        return results[0]

    assert run(main) == "finished anyway"


def test_an_exception_raised_during_cancellation_is_raised() -> None:
    async def body(started: trio.Event) -> None:
        started.set()
        try:
            await asyncio.sleep(HANG)
        finally:
            raise OSError("cleanup failed")

    async def main(boundary: Boundary) -> None:
        started = trio.Event()
        with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="cleanup failed")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: boundary.call(body, started, label="body"))
                await started.wait()
                nursery.cancel_scope.cancel()

    run(main)


def test_a_cancellation_that_nobody_asked_for_is_an_ordinary_exception() -> None:
    async def await_cancelled() -> None:
        inner = asyncio.ensure_future(asyncio.sleep(HANG))
        inner.cancel()
        await inner

    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(HANG)

    async def main(boundary: Boundary) -> None:
        for function in (await_cancelled, cancel_itself):
            with pytest.raises(StrayCancellation, match="the callback let a cancellation escape"):
                await boundary.call(function, label="the callback")

    run(main)


def test_call_each_gives_every_result_in_order_and_crosses_once() -> None:
    tasks: set[Any] = set()

    async def callback(number: int) -> int:
        tasks.add(asyncio.current_task())
        await asyncio.sleep(0)
        if number == 2:
            raise ValueError("two")
        if number == 3:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(HANG)
        return number

    async def main(boundary: Boundary) -> list[tuple[int, Outcome[int]]]:
        results: list[tuple[int, Outcome[int]]] = []
        await boundary.call_each(
            callback,
            [(1,), (2,), (3,), (4,)],
            label="callback",
            on_result=lambda index, result: results.append((index, result)),
        )
        return results

    results = run(main)
    assert [index for index, _ in results] == [0, 1, 2, 3]
    assert results[0][1] == Value(1)
    assert isinstance(results[1][1], Error)
    assert isinstance(results[1][1].error, ValueError)
    assert isinstance(results[2][1], Error)
    assert isinstance(results[2][1].error, StrayCancellation)
    assert results[3][1] == Value(4)
    assert len(tasks) == 1


def test_call_each_stops_where_it_is_cancelled() -> None:
    async def main(boundary: Boundary) -> list[int]:
        done: list[int] = []
        second = trio.Event()

        async def callback(number: int) -> None:
            if number == 1:
                second.set()
                await asyncio.sleep(HANG)

        def note(index: int, result: Outcome[None]) -> None:
            done.append(index)

        async def batch() -> None:
            await boundary.call_each(callback, [(0,), (1,), (2,)], label="callback", on_result=note)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch)
            await second.wait()
            nursery.cancel_scope.cancel()
        return done

    assert run(main) == [0]


def test_call_each_does_not_call_again_after_a_swallowed_cancellation() -> None:
    async def main(boundary: Boundary) -> list[int]:
        called: list[int] = []
        stands = trio.Event()

        async def callback(number: int) -> None:
            called.append(number)
            stands.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(HANG)

        async def batch() -> None:
            await boundary.call_each(callback, [(0,), (1,)], label="callback", on_result=lambda *_: None)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(batch)
            await stands.wait()
            nursery.cancel_scope.cancel()
        return called

    assert run(main) == [0]


def test_call_each_tells_answers_apart_from_silence_and_failures() -> None:
    run(check_answers_silence_and_failures)


def test_wait_flag_waits_for_an_asyncio_event() -> None:
    async def program() -> str:
        flag = asyncio.Event()

        async def main(boundary: Boundary) -> str:
            await boundary.wait_flag(flag)
            await boundary.wait_flag(flag)
            return "seen"

        asyncio.get_running_loop().call_soon(flag.set)
        return await run_in_trio(main)

    assert asyncio.run(program()) == "seen"


def test_a_cancelled_wait_for_a_flag_leaves_no_task() -> None:
    async def program() -> None:
        flag = asyncio.Event()

        async def main(boundary: Boundary) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(boundary.wait_flag, flag)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()

        await run_in_trio(main)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(program())


@pytest.mark.parametrize("exit_request", [KeyboardInterrupt("stop"), SystemExit(3)])
def test_a_request_to_exit_leaves_asyncio_run_and_the_session_is_cleaned_up(
    exit_request: BaseException,
) -> None:
    log: list[object] = []

    async def callback() -> None:
        raise exit_request

    async def main(boundary: Boundary) -> None:
        try:
            await boundary.call(callback, label="callback")
        except BaseException as seen:
            log.append(seen)
            raise
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0)
            log.append("cleaned up")

    with pytest.raises(type(exit_request)) as caught:
        run(main)
    assert caught.value is exit_request
    assert log[-1] == "cleaned up"
    trio.run(trio.lowlevel.checkpoint)


def test_a_task_factory_of_the_loop_is_used() -> None:
    tasks: list[asyncio.Task[Any]] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        tasks.append(task)
        return task

    async def callback() -> str:
        return sniffio.current_async_library()

    async def main(boundary: Boundary) -> str:
        return await boundary.call(callback, label="the callback")

    async def program() -> str:
        asyncio.get_running_loop().set_task_factory(factory)
        return await run_in_trio(main)

    assert asyncio.run(program()) == "asyncio"
    assert "the callback" in [task.get_name() for task in tasks]
