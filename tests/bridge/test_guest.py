"""The shared Trio guest of an asyncio loop: its life, and every ugly way for it to end."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
import uvloop

from optio_agents.bridge import Boundary, HostLoopClosed, run_in_trio
from tests.support.descriptors import open_descriptors
from tests.support.threads import busy_threads

HANG = 60.0
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

both_loops = pytest.mark.parametrize(
    "loop_factory",
    [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")],
)


@pytest.fixture(scope="module", autouse=True)
def first_use_of_uvloop() -> None:
    """libuv keeps a pipe for signals once it has been used in a process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.sleep(0))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Every test here ends with a thread in which Trio can run and nothing else is new."""
    descriptors, threads = set(open_descriptors()), busy_threads()
    hooks, interrupt = sys.get_asyncgen_hooks(), signal.getsignal(signal.SIGINT)
    yield
    gc.collect()
    assert not trio.lowlevel.in_trio_run()
    trio.run(trio.lowlevel.checkpoint)
    assert sys.get_asyncgen_hooks() == hooks
    assert signal.getsignal(signal.SIGINT) == interrupt
    # Some of what an earlier test has left may end meanwhile.
    assert busy_threads() <= threads
    assert set(open_descriptors()) <= descriptors


class Hanging:
    """A session that runs until it is cancelled and then cleans up on both sides of the boundary."""

    def __init__(self) -> None:
        self.started = 0
        self.cleaned_up = 0

    async def __call__(self, boundary: Boundary) -> None:
        self.started += 1
        try:
            await boundary.call(self._hang, label="body")
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0)
            self.cleaned_up += 1

    async def _hang(self) -> None:
        await asyncio.sleep(HANG)

    async def all_started(self, number: int) -> None:
        while self.started < number:
            await asyncio.sleep(0)


async def empty(boundary: Boundary) -> str:
    await trio.lowlevel.checkpoint()
    return "ended"


async def call_once(boundary: Boundary) -> str:
    async def callback() -> str:
        await asyncio.sleep(0)
        return "called"

    return await boundary.call(callback, label="callback")


@both_loops
def test_a_thousand_sessions_one_after_another(loop_factory: LoopFactory) -> None:
    async def program() -> None:
        for _ in range(1000):
            assert await run_in_trio(empty) == "ended"
            assert not trio.lowlevel.in_trio_run()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(program())


@both_loops
def test_a_thousand_sessions_at_once(loop_factory: LoopFactory) -> None:
    async def program() -> list[str]:
        return await asyncio.gather(*(run_in_trio(call_once) for _ in range(1000)))

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(program()) == ["called"] * 1000


@both_loops
def test_sessions_that_are_alive_when_the_program_ends_are_cancelled_and_waited_for(
    loop_factory: LoopFactory,
) -> None:
    hanging = Hanging()

    async def program() -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(run_in_trio(hanging)) for _ in range(300)]
        await hanging.all_started(300)
        return tasks

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        tasks = runner.run(program())
    assert hanging.cleaned_up == 300
    assert all(task.cancelled() for task in tasks)


@both_loops
def test_a_session_that_is_cancelled_twice_still_cleans_up(loop_factory: LoopFactory) -> None:
    cleaned_up: list[str] = []

    async def program() -> None:
        cleaning, cancelled_again = asyncio.Event(), asyncio.Event()

        async def cleanup() -> None:
            cleaning.set()
            await cancelled_again.wait()

        async def main(boundary: Boundary) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await boundary.call(cleanup, label="cleanup")
                cleaned_up.append("yes")

        task = asyncio.create_task(run_in_trio(main))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel("first")
        await cleaning.wait()
        task.cancel("second")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        assert task.cancelling() == 2
        cancelled_again.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(program())
    assert cleaned_up == ["yes"]


def test_a_timeout_around_a_session_ends_as_a_timeout() -> None:
    hanging = Hanging()

    async def program() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await run_in_trio(hanging)

    asyncio.run(program())
    assert hanging.cleaned_up == hanging.started


def test_a_failing_cleanup_is_raised_in_place_of_the_cancellation() -> None:
    async def main(boundary: Boundary) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("cleanup failed")

    async def program() -> None:
        task = asyncio.create_task(run_in_trio(main))
        asyncio.get_running_loop().call_later(0.001, task.cancel)
        with pytest.raises(OSError, match="cleanup failed"):
            await task

    asyncio.run(program())


def test_an_exception_group_is_the_same_object_for_the_awaiting_task() -> None:
    group = ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [TypeError("two")])])

    async def callback() -> None:
        raise group

    async def main(boundary: Boundary) -> None:
        await boundary.call(callback, label="callback")

    async def program() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await run_in_trio(main)
        assert caught.value is group

    asyncio.run(program())


def test_one_failing_session_does_not_touch_the_others() -> None:
    async def fail(boundary: Boundary) -> str:
        raise ValueError("only mine")

    async def program() -> None:
        results = await asyncio.gather(
            run_in_trio(call_once), run_in_trio(fail), run_in_trio(call_once), return_exceptions=True
        )
        assert results[0] == results[2] == "called"
        assert isinstance(results[1], ValueError)

    asyncio.run(program())


@both_loops
def test_a_loop_that_is_closed_under_its_sessions(loop_factory: LoopFactory) -> None:
    hanging = Hanging()
    seen: list[BaseException] = []

    async def begin() -> None:
        for _ in range(3):
            tasks.append(asyncio.create_task(run_in_trio(hanging)))
        tasks.append(asyncio.create_task(run_in_trio(sees_the_end)))
        await hanging.all_started(3)

    async def sees_the_end(boundary: Boundary) -> None:
        try:
            with trio.CancelScope(shield=True):
                await boundary.call(asyncio.sleep, HANG, label="body")
        except HostLoopClosed as closed:
            seen.append(closed)
            with pytest.raises(HostLoopClosed), trio.CancelScope(shield=True):
                await boundary.call(asyncio.sleep, 0, label="after the end")

    tasks: list[asyncio.Task[None]] = []
    loop = loop_factory()
    loop.run_until_complete(begin())
    loop.close()
    assert hanging.cleaned_up == 3
    assert len(seen) == 1
    for task in tasks:
        # What asyncio says of any task whose loop was closed.
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_stopped_loop_can_be_run_again() -> None:
    hanging = Hanging()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(run_in_trio(hanging))
        await hanging.all_started(1)
        return task

    async def end(task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(begin())
    loop.run_until_complete(end(task))
    loop.close()
    assert hanging.cleaned_up == 1


def test_another_loop_of_the_same_thread_is_refused_while_sessions_live() -> None:
    hanging = Hanging()
    loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(run_in_trio(hanging))
        await hanging.all_started(1)
        return task

    async def end(task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    task = loop.run_until_complete(begin())
    with pytest.raises(RuntimeError, match="another event loop of this thread"):
        other.run_until_complete(run_in_trio(empty))
    loop.run_until_complete(end(task))
    assert other.run_until_complete(run_in_trio(empty)) == "ended"
    loop.close()
    other.close()


def test_a_guest_of_somebody_else_is_refused() -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[Any] = loop.create_future()
        release = trio.Event()
        trio.lowlevel.start_guest_run(
            release.wait,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=over.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        with pytest.raises(RuntimeError, match="Trio runs in this thread already"):
            await run_in_trio(empty)
        release.set()
        await over

    asyncio.run(program())


@both_loops
def test_two_loops_in_two_threads(loop_factory: LoopFactory) -> None:
    results: list[list[str]] = []
    both_run = threading.Barrier(2, timeout=HANG)

    def run() -> None:
        async def program() -> list[str]:
            async def main(boundary: Boundary) -> str:
                await trio.lowlevel.checkpoint()
                both_run.wait()
                return await call_once(boundary)

            first = await run_in_trio(main)
            rest = await asyncio.gather(*(run_in_trio(call_once) for _ in range(100)))
            return [first, *rest]

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            results.append(runner.run(program()))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert results == [["called"] * 101] * 2


@both_loops
def test_ctrl_c_in_asyncio_run_cancels_the_sessions_and_leaves_as_keyboard_interrupt(
    loop_factory: LoopFactory,
) -> None:
    hanging = Hanging()

    async def program() -> None:
        others = [asyncio.create_task(run_in_trio(hanging)) for _ in range(2)]
        await hanging.all_started(2)
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.gather(*others)

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(program())
    assert hanging.started == hanging.cleaned_up == 2


@both_loops
@pytest.mark.parametrize("where", ["a callback", "a session", "the loop, idle"])
def test_ctrl_c_without_asyncio_run_leaves_the_loop_and_the_loop_can_go_on(
    loop_factory: LoopFactory, where: str, trio_driver: str
) -> None:
    hanging = Hanging()

    async def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(HANG)

    async def wait() -> None:
        await asyncio.sleep(HANG)

    async def main(boundary: Boundary) -> None:
        if where == "a session":
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
        await boundary.call(interrupt if where == "a callback" else wait, label="callback")

    async def begin() -> None:
        tasks.append(asyncio.create_task(run_in_trio(hanging)))
        await hanging.all_started(1)
        tasks.append(asyncio.create_task(run_in_trio(main)))
        if where == "the loop, idle":
            asyncio.get_running_loop().call_later(0.001, start_thread)
        await asyncio.sleep(HANG)

    def start_thread() -> None:
        thread = threading.Thread(
            target=signal.pthread_kill, args=(threading.main_thread().ident, signal.SIGINT)
        )
        thread.start()
        threads.append(thread)

    async def end() -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.wait(tasks)

    tasks: list[asyncio.Task[None]] = []
    threads: list[threading.Thread] = []
    loop = loop_factory()
    beginning = loop.create_task(begin())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(beginning)
    assert hanging.cleaned_up == 0
    ending = loop.create_task(end())
    try:
        loop.run_until_complete(ending)
    except KeyboardInterrupt:
        # From the awaiting task, as with any task of asyncio that awaits the interrupted one.
        assert trio_driver == "public"
        loop.run_until_complete(ending)
    assert hanging.cleaned_up == 1
    for thread in threads:
        thread.join(HANG)
    loop.close()
    for task in tasks:
        if not task.cancelled():
            assert isinstance(task.exception(), KeyboardInterrupt)


@both_loops
def test_a_handler_for_sigterm_is_called_and_sessions_go_on(loop_factory: LoopFactory) -> None:
    async def program() -> str:
        loop = asyncio.get_running_loop()
        terminated = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, terminated.set)

        async def main(boundary: Boundary) -> str:
            await boundary.wait_flag(terminated)
            return "terminated in order"

        session = asyncio.create_task(run_in_trio(main))
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGTERM)
        result = await session
        terminated.clear()
        signal.raise_signal(signal.SIGTERM)
        await terminated.wait()
        loop.remove_signal_handler(signal.SIGTERM)
        return result

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(program()) == "terminated in order"


def test_asyncios_own_async_generators_stay_asyncios() -> None:
    closed: list[str] = []

    async def numbers() -> Any:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append("closed")

    async def callback() -> None:
        async for _ in numbers():
            break
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def main(boundary: Boundary) -> None:
        await boundary.call(callback, label="callback")

    asyncio.run(run_in_trio(main))
    assert closed == ["closed"]


def test_the_exception_handler_of_the_loop_is_not_called() -> None:
    unhandled: list[Any] = []
    hanging = Hanging()

    async def program() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        handler = loop.get_exception_handler()
        tasks = [asyncio.create_task(run_in_trio(hanging)) for _ in range(20)]
        await hanging.all_started(20)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert loop.get_exception_handler() is handler

    asyncio.run(program(), debug=True)
    gc.collect()
    assert unhandled == []
