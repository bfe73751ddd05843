"""This project's runtime."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

import actors
from benchmarks.actors.clock import Lap, Stopwatch
from benchmarks.actors.rows import CAPACITY, RING, SENDERS, TIMERS, Measure


@dataclass(slots=True)
class EchoRequest:
    number: int
    reply: actors.Reply[int]


async def count(me: actors.Me[Any]) -> None:
    async for _ in me:
        pass


async def echo(me: actors.Me[EchoRequest]) -> None:
    async for question in me:
        if question.number < 0:
            raise ValueError
        question.reply.set(question.number)


async def _tell(n: int, hooks: actors.Hooks | None) -> Lap:
    async with actors.open_supervisor(hooks=hooks) as supervisor:
        ref = await supervisor.start(actors.actor(count), capacity=CAPACITY)
        watch = Stopwatch()
        for number in range(n):
            await ref.tell(number)
        ref.stop()
        await ref.wait()
        return watch.lap()


async def _ask(n: int) -> Lap:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(echo))
        watch = Stopwatch()
        for number in range(n):
            await ref.ask(partial(EchoRequest, number), timeout=5.0)
        return watch.lap()


async def _fan_in(n: int) -> Lap:
    async def send(ref: actors.Ref[int], times: int) -> None:
        for number in range(times):
            await ref.tell(number)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(count), capacity=CAPACITY)
        watch = Stopwatch()
        async with trio.open_nursery() as nursery:
            for _ in range(SENDERS):
                nursery.start_soon(send, ref, n // SENDERS)
        ref.stop()
        await ref.wait()
        return watch.lap()


async def _ring(n: int) -> Lap:
    done = trio.Event()
    following: dict[int, actors.Ref[int]] = {}

    async def member(me: actors.Me[int], place: int) -> None:
        async for hops in me:
            if hops == 0:
                done.set()
            else:
                await following[place].tell(hops - 1)

    async with actors.open_supervisor() as supervisor:
        refs = [await supervisor.start(actors.actor(member, place)) for place in range(RING)]
        following.update({place: refs[(place + 1) % RING] for place in range(RING)})
        watch = Stopwatch()
        await refs[0].tell(n)
        await done.wait()
        return watch.lap()


async def _spawn(n: int) -> Lap:
    async with actors.open_supervisor() as supervisor:
        watch = Stopwatch()
        for _ in range(n):
            ref = await supervisor.start(actors.actor(count))
            ref.stop()
            await ref.wait()
        return watch.lap()


async def _restart(n: int) -> Lap:
    intensity = actors.Intensity(restarts=n, seconds=1e6)
    async with actors.open_supervisor(intensity=intensity, on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(echo), restart=actors.PERMANENT)
        watch = Stopwatch()
        for number in range(n):
            ref.try_tell(EchoRequest(-1, actors.Reply()))
            await ref.ask(partial(EchoRequest, number), timeout=5.0)
        return watch.lap()


async def _cancel(n: int) -> Lap:
    async with actors.open_supervisor() as supervisor:
        refs = [await supervisor.start(actors.actor(count)) for _ in range(n)]
        watch = Stopwatch()
        for ref in refs:
            ref.cancel()
        for ref in refs:
            await ref.wait()
        return watch.lap()


async def _stop_all(n: int) -> Lap:
    async with actors.open_supervisor() as supervisor:
        for _ in range(n):
            await supervisor.start(actors.actor(count))
        watch = Stopwatch()
    return watch.lap()


async def _timers(n: int) -> Lap:
    async def timed(me: actors.Me[Any]) -> None:
        for number in range(TIMERS):
            me.timers.start(number, 3600.0 + number, number)
        async for _ in me:
            pass

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(timed), capacity=CAPACITY)
        watch = Stopwatch()
        for number in range(n):
            await ref.tell(number)
        ref.stop()
        await ref.wait()
        return watch.lap()


class Adder:
    """What a plain object would do with the same messages."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, number: int) -> None:
        self.total += number

    async def add_later(self, number: int) -> None:
        self.total += number


def adder(me: actors.InlineMe[int]) -> Callable[[int], None]:
    return Adder().add


async def _inline(n: int) -> Lap:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.inline(adder))
        watch = Stopwatch()
        for number in range(n):
            ref.try_tell(number)
        return watch.lap()


async def _inline_tell(n: int) -> Lap:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.inline(adder))
        watch = Stopwatch()
        for number in range(n):
            await ref.tell(number)
        return watch.lap()


def _call(n: int) -> Lap:
    plain = Adder()
    watch = Stopwatch()
    for number in range(n):
        plain.add(number)
    return watch.lap()


async def _awaited(n: int) -> Lap:
    plain = Adder()
    watch = Stopwatch()
    for number in range(n):
        await plain.add_later(number)
    return watch.lap()


async def populate(n: int, then: Callable[[], Awaitable[None]]) -> None:
    """Have `n` idle actors while `then` runs."""
    async with actors.open_supervisor() as supervisor:
        for _ in range(n):
            await supervisor.start(actors.actor(count))
        await then()


def _run(function: Callable[..., Awaitable[Lap]], *args: Any) -> Measure:
    def measure(n: int) -> Lap:
        logging.getLogger("actors").setLevel(logging.CRITICAL)
        return trio.run(function, n, *args)

    return measure


MEASURES: dict[str, Measure] = {
    "tell": _run(_tell, None),
    "ask": _run(_ask),
    "fan_in": _run(_fan_in),
    "ring": _run(_ring),
    "spawn": _run(_spawn),
    "restart": _run(_restart),
    "cancel": _run(_cancel),
    "stop_all": _run(_stop_all),
    "timers": _run(_timers),
    "inline": _run(_inline),
    "inline_tell": _run(_inline_tell),
}

TRACED: dict[str, Measure] = {"tell": _run(_tell, actors.Hooks())}
"""With the hooks on, each of them doing nothing: what tracing itself costs."""

CALLS: dict[str, Measure] = {"inline": _call, "inline_tell": _call}
"""No actor at all: a method call."""

AWAITED: dict[str, Measure] = {"inline_tell": _run(_awaited)}
"""No actor either: a coroutine method that never waits."""
