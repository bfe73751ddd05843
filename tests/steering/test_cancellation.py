"""A user's call is cancelled at every step of the loop: what was announced arrives once, and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from optio_agents.steering import BusySend
from tests.steering.steered import MARK, QUEUED, REQUEUED, TAKEN, Steered
from tests.support.asyncio_steps import Run, cancel_at_every_step

CALLS: dict[str, Callable[[Steered], Awaitable[object]]] = {
    "send": lambda steered: steered.steering.send_when_ready("mine"),
    "cut in": lambda steered: steered.steering.interrupt_and_send("mine"),
    "requeue": lambda steered: steered.steering.requeue([("old", "again")]),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("works", [True, False], ids=["busy", "idle"])
@pytest.mark.parametrize("value", ["queues-to-end", "unsafe", "cuts-in"])
@pytest.mark.parametrize("call", CALLS)
def test_cancelled_at_every_step(call: str, value: BusySend, works: bool, times: int) -> None:
    current: list[Steered] = []

    async def program() -> None:
        current[:] = [steered := Steered(value)]
        steered.agent.works = works
        if works:
            await steered.steering.send_when_ready("before")
        turn_end = asyncio.ensure_future(end_turn_later(steered))
        try:
            await CALLS[call](steered)
        finally:
            await turn_end

    def check(result: Run[None]) -> None:
        assert not result.fired or result.was_cancelled or result.outcome.unwrap() is None
        if current:
            asyncio.run(deliver(current[0], call))

    assert cancel_at_every_step(program, check, times=times) > 0


async def end_turn_later(steered: Steered) -> None:
    for _ in range(10):
        await asyncio.sleep(0)
    steered.agent.ends_its_turn()


async def deliver(steered: Steered, call: str) -> None:
    """Let the agent work off everything, and compare what it got with what the transcript was told."""
    async with asyncio.timeout(60):
        for _ in range(5):
            steered.agent.ends_its_turn()
            await steered.settle()
    events: list[Any] = [each for each in steered.log if isinstance(each, tuple)]
    names = {QUEUED, REQUEUED, TAKEN, MARK[0]}
    received = [text for each in events if each[0] not in names for text in each[0].split("\n\n") if text]
    announced = {each[1] for each in events if each[0] == QUEUED} | {
        each[2] for each in events if each[0] == REQUEUED
    }
    assert len(received) == len(set(received)), "doubled"
    assert len(received) >= len(announced), "lost"
    first = "again" if call == "requeue" and "before" in received[1:] else "before"
    assert received == sorted(received, key=lambda text: text != first), "reordered"
    assert steered.steering.held_ids == steered.steering.pending_ids == []
    assert not steered.steering._queue.undelivered
