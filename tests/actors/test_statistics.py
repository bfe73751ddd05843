from __future__ import annotations

import contextlib
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from tests.support.sample_actors import asking, gated


async def test_everything_that_can_be_counted_is(autojump_clock: MockClock) -> None:
    gate = trio.Event()
    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start(actors.actor(gated, gate, []), capacity=2)

        async def ask() -> None:
            with contextlib.suppress(actors.ActorStopped):
                await ref.ask(asking("?"), timeout=100)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await ref.tell(1)
        nursery.start_soon(ref.tell, 2)
        await wait_all_tasks_blocked()
        before = ref.statistics()
        assert (before.state, before.capacity, before.queued, before.senders_waiting) == (
            actors.State.RUNNING,
            2,
            2,
            1,
        )
        assert (before.accepted, before.taken, before.asks_open) == (2, 0, 1)
        gate.set()
        await wait_all_tasks_blocked()
        after = ref.statistics()
        assert (after.accepted, after.taken, after.queued, after.senders_waiting) == (3, 3, 0, 0)
        ref.stop()
        assert (await ref.wait()).dead_letters == ()
    assert ref.statistics().asks_open == 0


async def test_the_sum_is_right_after_a_cancel() -> None:
    log: list[Any] = []
    gate = trio.Event()
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(
            actors.actor(gated, gate, log), capacity=3, overflow=actors.Overflow.DROP_OLDEST
        )
        for number in range(5):
            ref.try_tell(number)
        ref.cancel()
        await ref.wait()
    end = ref.statistics()
    assert (end.accepted, end.taken, end.dropped, end.unhandled) == (5, 0, 2, 3)
    assert end.accepted == end.taken + end.queued + end.dropped + end.unhandled
    assert end.dead_letters == 5
