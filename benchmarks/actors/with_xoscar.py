"""Xoscar: actors in an asyncio pool, here all in this process (`n_process=0`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count as numbers
from typing import Any

import xoscar

from benchmarks.actors.clock import Lap, Stopwatch
from benchmarks.actors.rows import RING, SENDERS, Measure

PORTS = numbers(20_000)


class XoscarCounter(xoscar.Actor):  # type: ignore[misc]
    """Counts its messages, and returns the count."""

    def __init__(self) -> None:
        self.count = 0
        self.wanted = -1
        self.done: asyncio.Event | None = None

    async def tell_me(self, number: int) -> None:
        self.count += 1
        if self.count == self.wanted and self.done is not None:
            self.done.set()

    async def echo(self, number: int) -> int:
        return number

    async def until(self, wanted: int) -> asyncio.Event:
        self.wanted, self.done = wanted, asyncio.Event()
        return self.done


class XoscarMember(xoscar.Actor):  # type: ignore[misc]
    """Passes on what it gets."""

    async def link(self, following: Any) -> asyncio.Event:
        self.following = following
        self.done = asyncio.Event()
        return self.done

    async def hop(self, hops: int) -> None:
        if hops == 0:
            self.done.set()
        else:
            await self.following.hop.tell(hops - 1)


async def _tell(n: int, address: str) -> Lap:
    ref = await xoscar.create_actor(XoscarCounter, address=address)
    done = await ref.until(n)
    watch = Stopwatch()
    for number in range(n):
        await ref.tell_me.tell(number)
    await done.wait()
    return watch.lap()


async def _ask(n: int, address: str) -> Lap:
    ref = await xoscar.create_actor(XoscarCounter, address=address)
    watch = Stopwatch()
    for number in range(n):
        async with asyncio.timeout(5.0):
            await ref.echo(number)
    return watch.lap()


async def _fan_in(n: int, address: str) -> Lap:
    ref = await xoscar.create_actor(XoscarCounter, address=address)
    done = await ref.until(n)

    async def send() -> None:
        for number in range(n // SENDERS):
            await ref.tell_me.tell(number)

    watch = Stopwatch()
    await asyncio.gather(*(send() for _ in range(SENDERS)))
    await done.wait()
    return watch.lap()


async def _ring(n: int, address: str) -> Lap:
    refs = [
        await xoscar.create_actor(XoscarMember, address=address, uid=f"m{place}") for place in range(RING)
    ]
    events = [await ref.link(refs[(place + 1) % RING]) for place, ref in enumerate(refs)]
    watch = Stopwatch()
    await refs[0].hop.tell(n)
    await events[n % RING].wait()
    return watch.lap()


async def _spawn(n: int, address: str) -> Lap:
    watch = Stopwatch()
    for number in range(n):
        await xoscar.destroy_actor(
            await xoscar.create_actor(XoscarCounter, address=address, uid=f"s{number}")
        )
    return watch.lap()


async def populate(n: int, then: Callable[[], Awaitable[None]]) -> None:
    """Have `n` idle actors while `then` runs."""

    async def run(number: int, address: str) -> Lap:
        for index in range(number):
            await xoscar.create_actor(XoscarCounter, address=address, uid=f"i{index}")
        await then()
        return Lap(0.0, None)

    await _pooled(run, n)


async def _pooled(function: Callable[[int, str], Awaitable[Lap]], n: int) -> Lap:
    pool = await xoscar.create_actor_pool(f"test://127.0.0.1:{next(PORTS)}", n_process=0)
    async with pool:
        return await function(n, pool.external_address)


def _run(function: Callable[[int, str], Coroutine[Any, Any, Lap]]) -> Measure:
    return lambda n: asyncio.run(_pooled(function, n))


MEASURES: dict[str, Measure] = {
    "tell": _run(_tell),
    "ask": _run(_ask),
    "fan_in": _run(_fan_in),
    "ring": _run(_ring),
    "spawn": _run(_spawn),
}
