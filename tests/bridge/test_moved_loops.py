"""Loops that are run by one thread after another, and closed by yet another."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import trio
import uvloop

from optio_agents.bridge import Boundary, run_in_trio

T = TypeVar("T")
HANG = 60.0


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop: asyncio.AbstractEventLoop = request.param()
    yield loop
    loop.close()


def in_thread(function: Callable[[], T]) -> T:
    """What `function` returns or raises in a thread of its own."""
    results: list[Callable[[], T]] = []

    def run() -> None:
        try:
            value = function()
        except BaseException as error:
            failure = error

            def fail() -> T:
                raise failure

            results.append(fail)
        else:
            results.append(lambda: value)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(HANG)
    return results[0]()


class Session:
    """Calls back and forth until it is asked to end."""

    def __init__(self) -> None:
        self.cleaned_up: list[str] = []
        self.where: list[int] = []

    async def __call__(self, boundary: Boundary) -> str:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                self.where.append(await boundary.call(self.here, label="callback"))
                self.begun.set()
                await boundary.wait_flag(self.goes_on)
                with trio.move_on_after(0.001):
                    await trio.sleep_forever()
                self.where.append(await boundary.call(self.here, label="callback"))
                nursery.cancel_scope.cancel()
            return "went on"
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.001)
            self.cleaned_up.append(threading.current_thread().name)

    async def here(self) -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    async def begin(self) -> None:
        self.begun, self.goes_on = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(run_in_trio(self))
        await asyncio.wait_for(self.begun.wait(), HANG)

    async def end(self) -> str:
        self.goes_on.set()
        return await asyncio.wait_for(self.task, HANG)


def forget(task: asyncio.Task[Any]) -> None:
    """Not to be told by asyncio that the task of a closed loop was pending."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_sessions_go_on_in_the_thread_that_runs_the_loop_now(
    loop: asyncio.AbstractEventLoop, trio_driver: str
) -> None:
    session = Session()
    in_thread(lambda: loop.run_until_complete(session.begin()))

    def end() -> str:
        return loop.run_until_complete(session.end())

    if trio_driver == "public":
        with pytest.raises(RuntimeError, match="begun in another thread"):
            end()
        return
    assert end() == "went on"
    assert session.where[0] != session.where[1] == threading.get_ident()
    assert not trio.lowlevel.in_trio_run()


@pytest.mark.parametrize("how", ["a new session", "cancellation"])
def test_whatever_comes_first_in_the_other_thread(
    loop: asyncio.AbstractEventLoop, trio_driver: str, how: str
) -> None:
    session = Session()
    in_thread(lambda: loop.run_until_complete(session.begin()))

    async def another() -> str:
        async def small(boundary: Boundary) -> str:
            await trio.sleep(0)
            return "another"

        result = await run_in_trio(small)
        await session.end()
        return result

    async def cancel() -> str:
        session.task.cancel()
        await asyncio.wait([session.task])
        return "cancelled" if session.task.cancelled() else repr(session.task.exception())

    coroutine = another() if how == "a new session" else cancel()
    if trio_driver == "stepping":
        assert loop.run_until_complete(coroutine) in ("another", "cancelled")
        assert len(session.cleaned_up) == 1
        return
    try:
        said = loop.run_until_complete(coroutine)
    except RuntimeError as error:
        said = str(error)
    assert "begun in another thread" in said
    loop.run_until_complete(asyncio.wait([session.task]))
    session.task.exception()


def test_a_loop_that_another_thread_closes(
    loop: asyncio.AbstractEventLoop, trio_driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session()
    thread = threading.Thread(target=lambda: loop.run_until_complete(session.begin()), name="first")
    thread.start()
    thread.join(HANG)
    loop.close()
    forget(session.task)
    if trio_driver == "stepping":
        assert session.cleaned_up == [threading.current_thread().name]
        assert not caplog.records
    else:
        assert "abandoned: this event loop was begun in another thread" in caplog.text
    assert not trio.lowlevel.in_trio_run()
    trio.run(trio.lowlevel.checkpoint)


def test_a_loop_that_was_closed_under_a_session_is_freed() -> None:
    def close_under_session() -> weakref.ref[asyncio.AbstractEventLoop]:
        loop, session = asyncio.new_event_loop(), Session()
        loop.run_until_complete(session.begin())
        loop.close()
        forget(session.task)
        return weakref.ref(loop)

    freed = close_under_session()
    for _ in range(2):  # the second time frees what only the run of Trio has held
        gc.collect()
    assert freed() is None


def test_a_loop_that_is_closed_by_a_task_of_another_loop(
    loop: asyncio.AbstractEventLoop, trio_driver: str
) -> None:
    session = Session()
    in_thread(lambda: loop.run_until_complete(session.begin()))

    async def program() -> str:
        loop.close()
        return "goes on"

    assert asyncio.run(program()) == "goes on"
    forget(session.task)
    assert len(session.cleaned_up) == (trio_driver == "stepping")


def test_a_thread_that_runs_trio_already_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    session = Session()
    in_thread(lambda: loop.run_until_complete(session.begin()))

    async def program() -> None:
        with pytest.raises(RuntimeError, match="begun in another thread"):
            loop.run_until_complete(session.end())
        await trio.sleep(0)

    trio.run(program)
