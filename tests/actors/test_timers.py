"""Timers: in order, at their time, at a fixed delay or rate, and without starving messages."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio
from hypothesis import given, strategies as st
from trio.testing import MockClock

import actors
from actors.testing import run_seeded


async def test_a_slow_handler_of_ticks_does_not_starve_messages(autojump_clock: MockClock) -> None:
    log: list[tuple[str, float]] = []

    async def ticking(me: actors.Me[str]) -> None:
        me.timers.start("tick", 0.1, "tick", every=True)
        async for message in me:
            log.append((message, trio.current_time()))
            if message == "tick":
                await trio.sleep(0.15)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(ticking))
        await trio.sleep(1)
        sent = trio.current_time()
        for _ in range(3):
            await ref.tell("user")
        await trio.sleep(2)
        ref.cancel()
    users = [at - sent for message, at in log if message == "user"]
    assert len(users) == 3
    assert users[-1] < 1
    between = [message for message, at in log if users[0] + sent <= at <= users[-1] + sent]
    assert between[:5] == ["user", "tick", "user", "tick", "user"]


async def test_a_stop_ends_timers_and_drains_messages(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def ticking(me: actors.Me[str]) -> None:
        me.timers.start("tick", 0.1, "tick", every=True)
        async for message in me:
            log.append(message)
            me.timers.start("after the stop", 0.0, "late")
            await trio.sleep(0.15)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(ticking))
        await trio.sleep(1)
        for message in ("one", "two"):
            await ref.tell(message)
        log.clear()
        ref.stop()
        exit = await ref.wait()
    assert exit.kind is actors.ExitKind.STOPPED
    assert log == ["one", "two"]


async def test_a_timer_that_a_helper_task_starts_wakes_the_waiting_actor(autojump_clock: MockClock) -> None:
    log: list[tuple[str, float]] = []

    async def timed(me: actors.Me[str]) -> None:
        async def helper() -> None:
            await trio.sleep(1)
            me.timers.start("late", 5, "late")
            me.timers.start("soon", 2, "soon")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(helper)
            async for message in me:
                log.append((message, trio.current_time()))

    async with actors.open_supervisor() as supervisor:
        await supervisor.start(actors.actor(timed))
        await trio.sleep(60)
    assert log == [("soon", 3.0), ("late", 6.0)]


@pytest.mark.parametrize(("fixed_rate", "ticks"), [(False, 571), (True, 599)])
async def test_a_fixed_rate_keeps_pace_and_a_fixed_delay_falls_behind(
    autojump_clock: MockClock, fixed_rate: bool, ticks: int
) -> None:
    seen: list[float] = []

    async def ticking(me: actors.Me[str]) -> None:
        me.timers.start("tick", 1.0, "tick", every=True, fixed_rate=fixed_rate)
        async for message in me:
            if message == "tick":
                seen.append(trio.current_time())
            else:
                await trio.sleep(0.3)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(ticking))
        with trio.move_on_after(600):
            while True:
                await ref.tell("other")
                await trio.sleep(0.7)
        ref.cancel()
    assert abs(len(seen) - ticks) <= 1


async def test_ticks_that_were_missed_are_one_and_a_fixed_rate_goes_on_at_its_multiples(
    autojump_clock: MockClock,
) -> None:
    seen: list[float] = []

    async def ticking(me: actors.Me[str]) -> None:
        me.timers.start("tick", 1.0, "tick", every=True, fixed_rate=True)
        async for _ in me:
            seen.append(trio.current_time())
            if len(seen) == 1:
                await trio.sleep(3.5)

    async with actors.open_supervisor() as supervisor:
        await supervisor.start(actors.actor(ticking))
        await trio.sleep(7.5)
    assert seen == [1.0, 4.5, 5.0, 6.0, 7.0]


def test_a_fixed_rate_needs_a_repeated_timer() -> None:
    async def main() -> None:
        timers: actors.Timers[str] = actors.Timers(lambda: None)
        with pytest.raises(ValueError, match="every=True"):
            timers.start("k", 1.0, "m", fixed_rate=True)

    trio.run(main)


deeds = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(0, 5), st.integers(0, 6)),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("pass"), st.just(0), st.integers(1, 4)),
    ),
    max_size=60,
)


@given(deeds)
def test_timers_are_taken_as_a_plain_list_of_them_says(history: list[tuple[str, int, int]]) -> None:
    async def main() -> None:
        timers: actors.Timers[int] = actors.Timers(lambda: None)
        model: list[tuple[float, int, int]] = []  # due, number, key
        for number, (deed, key, seconds) in enumerate(history):
            if deed == "pass":
                await trio.sleep(seconds)
                while (due := timers.take(trio.current_time())) is not None:
                    assert due == (model.pop(0)[1],)
                assert not [entry for entry in model if entry[0] <= trio.current_time()]
                continue
            existed = [entry for entry in model if entry[2] == key]
            model = [entry for entry in model if entry[2] != key]
            if deed == "cancel":
                assert timers.cancel(key) == bool(existed)
            else:
                timers.start(key, seconds, number)
                model = sorted([*model, (trio.current_time() + seconds, number, key)])
            assert timers.next_due() == min((entry[0] for entry in model), default=float("inf"))
            assert len(timers) == len(model)

    run_seeded(main, seed=0)


def test_timers_that_were_cancelled_do_not_fill_the_heap() -> None:
    async def main() -> None:
        timers: actors.Timers[int] = actors.Timers(lambda: None)
        for number in range(10_000):
            timers.start(number % 10, 3600, number)
        assert len(timers) == 10
        assert len(timers._heap) < 50
        for key in range(10):
            timers.cancel(key)
        assert len(timers._heap) < 50

    trio.run(main)


async def test_a_timer_message_is_freed_with_its_timer() -> None:
    class Big:
        pass

    async def idle(me: actors.Me[Any]) -> None:
        big = Big()
        me.timers.start("k", 3600, big)
        me.timers.cancel("k")
        del big
        me.timers.start("other", 3600, None)
        async for _ in me:
            pass

    async with actors.open_supervisor() as supervisor:
        for _ in range(20):
            await supervisor.start(actors.actor(idle))
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Big)]
