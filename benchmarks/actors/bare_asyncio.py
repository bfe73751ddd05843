"""asyncio without a framework: an actor as a task around an `asyncio.Queue`, the usual recipe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from benchmarks.actors.clock import Lap, Stopwatch
from benchmarks.actors.rows import CAPACITY, RING, SENDERS, Measure


async def _consume(queue: asyncio.Queue[int | None]) -> None:
    while await queue.get() is not None:
        pass


async def _tell(n: int) -> Lap:
    queue: asyncio.Queue[int | None] = asyncio.Queue(CAPACITY)
    watch = Stopwatch()
    task = asyncio.create_task(_consume(queue))
    for number in range(n):
        await queue.put(number)
    await queue.put(None)
    await task
    return watch.lap()


async def _ask(n: int) -> Lap:
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue(CAPACITY)

    async def respond() -> None:
        while True:
            number, future = await queue.get()
            future.set_result(number)

    task = asyncio.create_task(respond())
    loop = asyncio.get_running_loop()
    watch = Stopwatch()
    for number in range(n):
        future: asyncio.Future[int] = loop.create_future()
        async with asyncio.timeout(5.0):
            await queue.put((number, future))
            await future
    lap = watch.lap()
    task.cancel()
    return lap


async def _fan_in(n: int) -> Lap:
    queue: asyncio.Queue[int | None] = asyncio.Queue(CAPACITY)

    async def produce() -> None:
        for number in range(n // SENDERS):
            await queue.put(number)

    watch = Stopwatch()
    task = asyncio.create_task(_consume(queue))
    await asyncio.gather(*(produce() for _ in range(SENDERS)))
    await queue.put(None)
    await task
    return watch.lap()


async def _ring(n: int) -> Lap:
    done = asyncio.Event()
    queues: list[asyncio.Queue[int]] = [asyncio.Queue(CAPACITY) for _ in range(RING)]

    async def member(place: int) -> None:
        following = queues[(place + 1) % RING]
        while True:
            hops = await queues[place].get()
            if hops == 0:
                done.set()
            else:
                await following.put(hops - 1)

    tasks = [asyncio.create_task(member(place)) for place in range(RING)]
    watch = Stopwatch()
    await queues[0].put(n)
    await done.wait()
    lap = watch.lap()
    for task in tasks:
        task.cancel()
    return lap


async def _spawn(n: int) -> Lap:
    async def run(queue: asyncio.Queue[int | None], started: asyncio.Event) -> None:
        started.set()
        await _consume(queue)

    watch = Stopwatch()
    for _ in range(n):
        queue: asyncio.Queue[int | None] = asyncio.Queue(CAPACITY)
        started = asyncio.Event()
        task = asyncio.create_task(run(queue, started))
        await started.wait()
        queue.put_nowait(None)
        await task
    return watch.lap()


async def _cancel(n: int) -> Lap:
    queues: list[asyncio.Queue[int | None]] = [asyncio.Queue(CAPACITY) for _ in range(n)]
    tasks = [asyncio.create_task(_consume(queue)) for queue in queues]
    await asyncio.sleep(0)
    watch = Stopwatch()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return watch.lap()


async def populate(n: int, then: Callable[[], Awaitable[None]]) -> None:
    """Have `n` tasks that wait on queues while `then` runs."""
    queues: list[asyncio.Queue[int | None]] = [asyncio.Queue(CAPACITY) for _ in range(n)]
    tasks = [asyncio.create_task(_consume(queue)) for queue in queues]
    await asyncio.sleep(0)
    await then()
    for task in tasks:
        task.cancel()


def _run(function: Callable[[int], Coroutine[Any, Any, Lap]]) -> Measure:
    return lambda n: asyncio.run(function(n))


MEASURES: dict[str, Measure] = {
    "tell": _run(_tell),
    "ask": _run(_ask),
    "fan_in": _run(_fan_in),
    "ring": _run(_ring),
    "spawn": _run(_spawn),
    "cancel": _run(_cancel),
}
