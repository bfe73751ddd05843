from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, settings, strategies as st
from trio.testing import wait_all_tasks_blocked

import actors
from actors.kit.topic import Topic, start_topic
from actors.testing import cancel_at_every_step, fail_at_every_step, run_seeded
from tests.support.sample_actors import gated, keep


async def test_each_subscriber_receives_what_is_published_while_it_is_subscribed() -> None:
    logs: list[list[Any]] = [[], []]
    async with actors.open_supervisor() as supervisor:
        topic: Topic[int] = await start_topic(supervisor)
        first, second = [await supervisor.start(actors.actor(keep, log)) for log in logs]
        await topic.publish(0)
        topic.subscribe(first)
        topic.subscribe(first)
        await topic.publish(1)
        topic.subscribe(second)
        await topic.publish(2)
        assert topic.unsubscribe(first)
        assert not topic.unsubscribe(first)
        await topic.publish(3)
        second.stop()
        await second.wait()
        assert len(topic) == 0
        await topic.publish(4)
        with pytest.raises(actors.ActorStopped, match="keep-"):
            topic.subscribe(second)
    assert logs == [[1, 2], [2, 3]]


async def test_the_slowest_subscriber_sets_the_pace_of_publish_and_misses_what_is_tried() -> None:
    gate = trio.Event()
    slow_log: list[Any] = []
    quick_log: list[Any] = []
    published: list[int] = []
    async with actors.open_supervisor() as supervisor:
        topic: Topic[int] = await start_topic(supervisor)
        slow = await supervisor.start(actors.actor(gated, gate, slow_log), capacity=1)
        quick = await supervisor.start(actors.actor(keep, quick_log))
        topic.subscribe(slow)
        topic.subscribe(quick)

        async def publish() -> None:
            for number in range(4):
                await topic.publish(number)
                published.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            await wait_all_tasks_blocked()
            assert published == [0]
            assert quick_log == [0, 1]
            assert topic.try_publish(9) == (slow,)
            gate.set()
    assert slow_log == [0, 1, 2, 3]
    assert quick_log == [0, 1, 9, 2, 3]


@pytest.mark.parametrize("overflow", [actors.Overflow.REJECT, actors.Overflow.DROP_NEWEST])
async def test_one_that_does_not_block_is_never_waited_for(overflow: actors.Overflow) -> None:
    gate = trio.Event()
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        topic: Topic[int] = await start_topic(supervisor)
        ref = await supervisor.start(actors.actor(gated, gate, log), capacity=1, overflow=overflow)
        topic.subscribe(ref)
        for number in range(5):
            await topic.publish(number)
        gate.set()
    assert log == [0]


async def test_one_that_stops_while_the_publisher_waits_for_it_is_left_out() -> None:
    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        topic: Topic[int] = await start_topic(supervisor)
        ref = await supervisor.start(actors.actor(gated, trio.Event(), []), capacity=1)
        topic.subscribe(ref)
        await topic.publish(0)
        nursery.start_soon(topic.publish, 1)
        await wait_all_tasks_blocked()
        ref.cancel()
        await ref.wait()
        await wait_all_tasks_blocked()
        assert ref not in topic


deeds = st.lists(
    st.tuples(st.sampled_from(["publish", "subscribe", "unsubscribe", "end"]), st.integers(0, 2)), max_size=30
)


@settings(deadline=None)
@given(deeds, st.integers(1, 3), st.integers(0, 2**32))
def test_subscribers_receive_exactly_what_a_model_says(
    history: list[tuple[str, int]], capacity: int, seed: int
) -> None:
    wanted: list[list[int]] = [[], [], []]
    logs: list[list[Any]] = [[], [], []]

    async def main() -> None:
        subscribed: set[int] = set()
        async with actors.open_supervisor() as supervisor:
            topic: Topic[int] = await start_topic(supervisor)
            refs = [await supervisor.start(actors.actor(keep, log), capacity=capacity) for log in logs]
            for number, (deed, which) in enumerate(history):
                ref = refs[which]
                if deed == "publish":
                    await topic.publish(number)
                    for each in subscribed:
                        wanted[each].append(number)
                elif deed == "unsubscribe":
                    assert topic.unsubscribe(ref) == (which in subscribed)
                    subscribed.discard(which)
                elif deed == "end":
                    ref.stop()
                    await ref.wait()
                    subscribed.discard(which)
                elif ref.exit is None:
                    topic.subscribe(ref)
                    subscribed.add(which)
                assert {index for index, each in enumerate(refs) if each in topic} == subscribed

    run_seeded(main, seed=seed)
    assert logs == wanted


def build() -> Any:
    logs: list[list[Any]] = [[], []]

    async def run() -> None:
        async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
            topic: Topic[int] = await start_topic(supervisor)
            for log in logs:
                topic.subscribe(await supervisor.start(actors.actor(keep, log), capacity=1))
            for number in range(4):
                await topic.publish(number)

    def check() -> None:
        for log in logs:
            assert log == list(range(len(log))), "lost, doubled or reordered"

    return run, check


def test_no_subscriber_misses_one_in_between_when_it_is_cancelled_at_any_step() -> None:
    assert cancel_at_every_step(build, seeds=range(20)).points > 20


def test_no_subscriber_misses_one_in_between_when_an_actor_raises_at_any_step() -> None:
    assert fail_at_every_step(build, seeds=range(20)).points > 20
