"""Three kinds of calls of the ctx: in the log's order, unless one of them hangs."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import trio
from trio.testing import MockClock

from optio_agents.session.log_order import PATIENCE, RUNS_LIMIT, LogOrder


async def play(
    order: LogOrder, log: list[str], call: Callable[[str, int], Awaitable[None]]
) -> list[tuple[str, int]]:
    """Work off `log`, one worker for each kind; return what was begun, in order."""
    begun: list[tuple[str, int]] = []

    async def work(kind: str) -> None:
        for number, each in enumerate(log):
            if each == kind:
                await order.turn(kind)
                begun.append((kind, number))
                await call(kind, number)
                order.settle(kind)

    for kind in log:
        order.put(kind)
    async with trio.open_nursery() as nursery:
        for kind in sorted(set(log)):
            nursery.start_soon(work, kind)
    return begun


async def test_calls_that_return_are_made_in_the_logs_order(autojump_clock: MockClock) -> None:
    seed = random.randrange(2**32)
    generator = random.Random(seed)
    log = [generator.choice("abc") for _ in range(300)]

    async def call(kind: str, number: int) -> None:
        await trio.sleep(generator.random() * PATIENCE)

    begun = await play(LogOrder(), log, call)
    assert [number for _, number in begun] == list(range(300)), f"seed {seed}"


async def test_a_call_that_hangs_holds_up_its_own_kind_only(autojump_clock: MockClock) -> None:
    began: dict[int, float] = {}

    async def call(kind: str, number: int) -> None:
        began[number] = trio.current_time()
        await trio.sleep(100 if number == 1 else 0)

    start = trio.current_time()
    begun = await play(LogOrder(), list("abcabccba"), call)
    assert [number for _, number in begun] == [0, 1, 2, 3, 5, 6, 8, 4, 7]
    assert began[8] - start < 2 * PATIENCE
    assert began[4] - start >= 100


async def test_the_order_is_remembered_up_to_a_limit_and_nothing_waits_beyond_it() -> None:
    async def call(kind: str, number: int) -> None:
        await trio.lowlevel.checkpoint()

    log = ["a", "b"] * RUNS_LIMIT
    begun = await play(LogOrder(), log, call)
    assert [number for _, number in begun][: RUNS_LIMIT - 1] == list(range(RUNS_LIMIT - 1))
    assert len(begun) == len(log)
