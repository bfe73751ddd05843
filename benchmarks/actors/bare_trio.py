"""Trio without actors: memory channels, events, nursery tasks. What the runtime is built from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from benchmarks.actors.clock import Lap, Stopwatch
from benchmarks.actors.rows import CAPACITY, RING, SENDERS, Measure


async def _consume(receive: trio.MemoryReceiveChannel[int]) -> None:
    async for _ in receive:
        pass


async def _tell(n: int) -> Lap:
    send, receive = trio.open_memory_channel[int](CAPACITY)
    watch = Stopwatch()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_consume, receive)
        for number in range(n):
            await send.send(number)
        send.close()
    return watch.lap()


async def _ask(n: int, timeout: float | None = 5.0) -> Lap:
    """The leanest exchange: two events, no queue; with a deadline, `fail_after`."""
    asked = [trio.Event()]
    answered = [trio.Event()]

    async def respond() -> None:
        while True:
            await asked[0].wait()
            asked[0] = trio.Event()
            answered[0].set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(respond)
        watch = Stopwatch()
        for _ in range(n):
            answered[0] = trio.Event()
            if timeout is None:
                asked[0].set()
                await answered[0].wait()
                continue
            with trio.fail_after(timeout):
                asked[0].set()
                await answered[0].wait()
        lap = watch.lap()
        nursery.cancel_scope.cancel()
    return lap


async def _fan_in(n: int) -> Lap:
    async def produce(channel: trio.MemorySendChannel[int], times: int) -> None:
        with channel:
            for number in range(times):
                await channel.send(number)

    send, receive = trio.open_memory_channel[int](CAPACITY)
    watch = Stopwatch()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_consume, receive)
        for _ in range(SENDERS):
            nursery.start_soon(produce, send.clone(), n // SENDERS)
        send.close()
    return watch.lap()


async def _ring(n: int) -> Lap:
    done = trio.Event()
    channels = [trio.open_memory_channel[int](CAPACITY) for _ in range(RING)]

    async def member(place: int) -> None:
        following = channels[(place + 1) % RING][0]
        async for hops in channels[place][1]:
            if hops == 0:
                done.set()
            else:
                await following.send(hops - 1)

    async with trio.open_nursery() as nursery:
        for place in range(RING):
            nursery.start_soon(member, place)
        watch = Stopwatch()
        await channels[0][0].send(n)
        await done.wait()
        lap = watch.lap()
        nursery.cancel_scope.cancel()
    return lap


async def _spawn(n: int) -> Lap:
    async def task(started: trio.Event, stop: trio.Event, ended: trio.Event) -> None:
        started.set()
        await stop.wait()
        ended.set()

    async with trio.open_nursery() as nursery:
        watch = Stopwatch()
        for _ in range(n):
            started, stop, ended = trio.Event(), trio.Event(), trio.Event()
            nursery.start_soon(task, started, stop, ended)
            await started.wait()
            stop.set()
            await ended.wait()
        return watch.lap()


async def _spawn_owned(n: int) -> Lap:
    """The same with what trio offers for it: `nursery.start`, and a cancel scope to stop the task."""

    async def task(task_status: trio.TaskStatus[tuple[trio.CancelScope, trio.Event]]) -> None:
        ended = trio.Event()
        with trio.CancelScope() as scope:
            task_status.started((scope, ended))
            await trio.sleep_forever()
        ended.set()

    async with trio.open_nursery() as nursery:
        watch = Stopwatch()
        for _ in range(n):
            scope, ended = await nursery.start(task)
            scope.cancel()
            await ended.wait()
        return watch.lap()


async def _cancel(n: int) -> Lap:
    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        watch = Stopwatch()
        nursery.cancel_scope.cancel()
    return watch.lap()


async def _stop_all(n: int) -> Lap:
    async def task(stop: trio.Event) -> None:
        await stop.wait()

    stops = [trio.Event() for _ in range(n)]
    async with trio.open_nursery() as nursery:
        for stop in stops:
            nursery.start_soon(task, stop)
        await trio.testing.wait_all_tasks_blocked()
        watch = Stopwatch()
        for stop in stops:
            stop.set()
    return watch.lap()


async def populate(n: int, then: Callable[[], Awaitable[None]]) -> None:
    """Have `n` tasks that wait on channels while `then` runs."""
    channels = [trio.open_memory_channel[int](CAPACITY) for _ in range(n)]
    async with trio.open_nursery() as nursery:
        for _, receive in channels:
            nursery.start_soon(_consume, receive)
        await trio.testing.wait_all_tasks_blocked()
        await then()
        nursery.cancel_scope.cancel()


def _run(function: Callable[..., Awaitable[Lap]], *args: Any) -> Measure:
    return lambda n: trio.run(function, n, *args)


MEASURES: dict[str, Measure] = {
    "tell": _run(_tell),
    "ask": _run(_ask),
    "fan_in": _run(_fan_in),
    "ring": _run(_ring),
    "spawn": _run(_spawn),
    "cancel": _run(_cancel),
    "stop_all": _run(_stop_all),
}

SWITCHES: dict[str, Measure] = {"ask": _run(_ask, None)}
"""Without a deadline: two task switches, and hardly anything else."""

OWNED: dict[str, Measure] = {"spawn": _run(_spawn_owned)}
