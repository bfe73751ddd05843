"""Task factories that refuse, are eager, or return something like a future; ordinary functions that start tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sniffio
import trio

from optio_agents.bridge import Abandoned, Boundary, run_in_trio
from tests.support.eager_tasks import eager_task

HANG = 60.0


@contextmanager
def factory(make: Any) -> Iterator[None]:
    """Within a coroutine: tasks are made by `make(loop, coroutine, **more)`."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(make)
    try:
        yield
    finally:
        loop.set_task_factory(None)


class FutureLike:
    """Hands on to a task all that a future has, and nothing of what only tasks have."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    def __getattr__(self, name: str) -> Any:
        if name in ("get_coro", "get_stack", "cancelling", "uncancel", "get_context"):
            raise AttributeError(name)
        return getattr(self._task, name)

    def __await__(self) -> Any:
        return self._task.__await__()


def refuse(loop: asyncio.AbstractEventLoop, coroutine: Any, **_: Any) -> Any:
    raise RuntimeError("no new tasks: shutting down")


def like_a_future(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> Any:
    return FutureLike(asyncio.Task(coroutine, loop=loop, **more))


def eager(loop: asyncio.AbstractEventLoop, coroutine: Any, **_: Any) -> Any:
    return eager_task(coroutine)


async def quick() -> str:
    return "quick"


async def slow() -> str:
    await asyncio.sleep(0.001)
    return "slow"


async def failing() -> str:
    raise ValueError("of the user")


async def session(main: Callable[[Boundary], Awaitable[Any]], make: Any) -> Any:
    """The result of `main` in a session whose boundary calls are made with that factory."""

    async def with_factory(boundary: Boundary) -> Any:
        with factory(make):
            return await main(boundary)

    return await asyncio.wait_for(run_in_trio(with_factory), HANG)


@pytest.mark.parametrize("make", [like_a_future, eager])
def test_calls_by_other_factories(make: Any) -> None:
    async def main(boundary: Boundary) -> list[str]:
        results = [await boundary.call(each, label="callback") for each in (quick, slow)]
        with pytest.raises(ValueError, match="of the user"):
            await boundary.call(failing, label="callback")
        with trio.move_on_after(0.001) as scope:
            await boundary.call(asyncio.sleep, HANG, label="callback")
        assert scope.cancelled_caught
        return results

    assert asyncio.run(session(main, make)) == ["quick", "slow"]


def test_a_factory_that_refuses_fails_the_call() -> None:
    async def main(boundary: Boundary) -> str:
        with pytest.raises(RuntimeError, match="shutting down"):
            await boundary.call(quick, label="callback")
        asyncio.get_running_loop().set_task_factory(None)
        return await boundary.call(quick, label="callback")

    assert asyncio.run(session(main, refuse)) == "quick"


def test_a_factory_that_exits_ends_the_program() -> None:
    def leave(loop: asyncio.AbstractEventLoop, coroutine: Any, **_: Any) -> Any:
        raise SystemExit(7)

    async def main(boundary: Boundary) -> None:
        await boundary.call(quick, label="callback")

    with pytest.raises(SystemExit):
        asyncio.run(session(main, leave))


def test_something_like_a_future_that_ignores_its_cancellation_is_left_behind() -> None:
    abandoned: list[Abandoned] = []

    async def program() -> None:
        over = asyncio.Event()

        async def stubborn() -> None:
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    continue

        async def main(boundary: Boundary) -> None:
            boundary.on_abandoned = abandoned.append
            with trio.move_on_after(0.001):
                await boundary.call(stubborn, label="callback", grace=0.001)

        await session(main, like_a_future)
        over.set()
        await asyncio.sleep(0)

    asyncio.run(program())
    assert len(abandoned) == 1
    assert "stubborn" in abandoned[0].where


def test_an_ordinary_function_is_of_the_users_world() -> None:
    def look() -> str:
        return sniffio.current_async_library()

    async def main(boundary: Boundary) -> tuple[str, str]:
        return boundary.plain(look)(), sniffio.current_async_library()

    assert asyncio.run(run_in_trio(main)) == ("asyncio", "trio")
    assert trio.run(run_in_trio, main) == ("trio", "trio")


def test_an_ordinary_function_may_start_tasks_and_sessions() -> None:
    async def inner(boundary: Boundary) -> str:
        await trio.sleep(0)
        return await boundary.call(slow, label="callback")

    async def program() -> list[str]:
        started: list[Any] = []

        def start() -> None:
            started.append(asyncio.create_task(run_in_trio(inner)))
            started.append(eager_task(run_in_trio(inner)))

        async def outer(boundary: Boundary) -> str:
            boundary.plain(start)()
            await trio.sleep(0)
            return "outer"

        outcome = await run_in_trio(outer)
        return [outcome, *await asyncio.gather(*started)]

    assert asyncio.run(asyncio.wait_for(program(), HANG)) == ["outer", "slow", "slow"]
