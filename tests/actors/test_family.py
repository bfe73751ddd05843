"""How children end when the block is left, and how restarts begin."""

from __future__ import annotations

import contextvars
import itertools
import logging
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings, strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from actors.testing import run_seeded
from tests.support.sample_actors import Boom, keep

request = contextvars.ContextVar("request", default="none")


async def hub(me: actors.Me[Any], leaves: list[actors.Ref[Any]], begun: list[float]) -> None:
    begun.append(trio.current_time())
    async for message in me:
        for leaf in leaves:
            await leaf.tell(message)


async def leaf(me: actors.Me[Any], heard: list[Any]) -> None:
    async for message in me:
        heard.append(message)
        await trio.sleep(0.01)


@pytest.mark.parametrize("strategy", list(actors.Strategy))
@pytest.mark.parametrize("hub_first", [True, False])
async def test_siblings_that_tell_each_other_on_the_way_down_are_no_failure(
    strategy: actors.Strategy, hub_first: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    leaves: list[actors.Ref[Any]] = []
    begun: list[float] = []
    heard: list[Any] = []
    letters: list[actors.DeadLetter] = []
    with caplog.at_level(logging.WARNING):
        async with actors.open_supervisor(strategy=strategy, on_dead_letter=letters.append) as supervisor:
            specs = [actors.actor(hub, leaves, begun), actors.actor(leaf, heard)]
            refs = {}
            for spec in specs if hub_first else reversed(specs):
                refs[spec.name] = await supervisor.start(spec, restart=actors.TRANSIENT)
            leaves.append(refs["leaf"])
            for number in range(100):
                await refs["hub"].tell(number)
    assert not caplog.records
    assert len(begun) == 1
    assert sorted(heard + [letter.message for letter in letters]) == list(range(100))
    if strategy is not actors.ONE_FOR_ONE and not hub_first:
        assert heard == list(range(100)), "in order, those that depend on others stop before them"


async def test_a_task_outside_still_gets_an_error_from_a_stopped_actor(autojump_clock: MockClock) -> None:
    caught: list[Exception] = []

    async def outsider(ref: actors.Ref[Any]) -> None:
        while not caught:
            try:
                await ref.tell(1)
            except actors.ActorStopped as error:
                caught.append(error)
            await trio.sleep(0.01)

    async with trio.open_nursery() as nursery, actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(leaf, []))
        nursery.start_soon(outsider, ref)
        await trio.sleep(0.1)
    assert caught


async def test_an_ask_of_a_stopped_sibling_ends_the_asker_as_stopped(autojump_clock: MockClock) -> None:
    async def asks(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
        async for _ in me:
            await trio.sleep(1)
            await other.ask(lambda reply: reply, timeout=5)

    async with actors.open_supervisor() as supervisor:
        other = await supervisor.start(actors.actor(keep, []))
        ref = await supervisor.start(actors.actor(asks, other), restart=actors.PERMANENT)
        await ref.tell("last")
        await wait_all_tasks_blocked()
    assert ref.exit is not None
    assert ref.exit.kind is actors.ExitKind.STOPPED
    assert [letter.message for letter in ref.exit.dead_letters] == ["last"]


async def test_a_failure_while_the_block_is_left_is_no_restart_but_comes_out(
    autojump_clock: MockClock,
) -> None:
    begun: list[str] = []

    async def fails_late(me: actors.Me[Any]) -> None:
        begun.append("x")
        async for _ in me:
            await trio.sleep(1)
            raise Boom

    with pytest.raises(actors.Escalated, match="'early' failed while it was stopped"):
        async with actors.open_supervisor(strategy=actors.REST_FOR_ONE) as supervisor:
            ref = await supervisor.start(actors.actor(fails_late), name="early", restart=actors.PERMANENT)
            await supervisor.start(actors.actor(slow_to_stop, 3.0))
            await ref.tell("go")
            await wait_all_tasks_blocked()
    assert begun == ["x"]


async def slow_to_stop(me: actors.Me[Any], seconds: float) -> None:
    async for _ in me:
        pass
    await trio.sleep(seconds)


async def test_independent_children_stop_together_within_one_deadline(autojump_clock: MockClock) -> None:
    refs = []
    async with actors.open_supervisor(stop_timeout=3.0) as supervisor:
        for seconds in (1.0, 2.0, 50.0, 50.0):
            refs.append(await supervisor.start(actors.actor(slow_to_stop, seconds)))
    assert trio.current_time() == 3.0
    stopped, cancelled = actors.ExitKind.STOPPED, actors.ExitKind.CANCELLED
    assert [ref.exit and ref.exit.kind for ref in refs] == [stopped, stopped, cancelled, cancelled]


@pytest.mark.parametrize("nested", [False, True])
async def test_a_restart_that_hangs_fails_after_its_start_timeout(
    autojump_clock: MockClock, nested: bool
) -> None:
    runs: list[float] = []
    failures: list[actors.Exit] = []

    async def database(me: actors.Me[str]) -> None:
        runs.append(trio.current_time())
        if len(runs) == 2:
            await trio.sleep_forever()
        async for _ in me:
            raise Boom

    async with actors.open_supervisor(
        strategy=actors.ONE_FOR_ALL,
        start_timeout=10.0,
        intensity=actors.Intensity(5, 100.0),
        on_failure=lambda ref, exit: failures.append(exit),
    ) as top:
        supervisor = await top.start_supervisor(name="sub", strategy=actors.ONE_FOR_ALL) if nested else top
        ref = await supervisor.start(actors.actor(database), name="db", restart=actors.PERMANENT)
        other = await supervisor.start(actors.actor(keep, []), restart=actors.PERMANENT)
        await ref.tell("fail")
        await trio.sleep(100)
        assert other.state is ref.state is actors.State.RUNNING
    assert runs == [0.0, 0.0, 10.0]
    assert isinstance(failures[1].cause, actors.StartTimeout)
    assert "'db' was restarted and was not ready within 10.0 s" in str(failures[1].cause)


async def test_an_actor_that_never_says_that_it_is_ready_is_restarted_without_a_deadline(
    autojump_clock: MockClock,
) -> None:
    runs: list[float] = []

    async def loops(me: actors.Me[str]) -> None:
        runs.append(trio.current_time())
        await trio.sleep(1)
        if len(runs) == 1:
            raise Boom
        await trio.sleep(1000)

    async with actors.open_supervisor(
        strategy=actors.ONE_FOR_ALL, start_timeout=5.0, on_failure=lambda ref, exit: None
    ) as supervisor:
        ref: actors.Ref[str] = supervisor.start_soon(actors.actor(loops), restart=actors.TRANSIENT)
        sibling = await supervisor.start(actors.actor(keep, []), restart=actors.TRANSIENT)
        await trio.sleep(100)
        assert sibling.state is actors.State.RUNNING
        exit = await ref.wait()
    assert exit.kind is actors.ExitKind.FINISHED
    assert runs == [0.0, 1.0]


async def test_a_restarted_run_begins_with_its_starters_context_variables() -> None:
    begun: list[str] = []

    async def worker(me: actors.Me[str]) -> None:
        begun.append(request.get())
        async for message in me:
            request.set(message)
            raise Boom

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        request.set("the starter's")
        ref = await supervisor.start(actors.actor(worker), restart=actors.TRANSIENT)
        request.set("the sender's")
        for number in range(2):
            await ref.tell(f"request {number}")
            await wait_all_tasks_blocked()
    assert begun == ["the starter's"] * 3


async def test_a_start_that_is_cancelled_raises_although_the_set_up_outlasts_it(
    autojump_clock: MockClock,
) -> None:
    async def slow(me: actors.Me[str]) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(30)
        async for _ in me:
            pass

    async with actors.open_supervisor(stop_timeout=5) as supervisor:
        with trio.move_on_after(1) as scope:
            await supervisor.start(actors.actor(slow))
        assert scope.cancelled_caught
        assert trio.current_time() == 6


async def test_a_child_that_never_stops_failing_waits_longer_and_longer_and_escalates(
    autojump_clock: MockClock,
) -> None:
    begun: list[float] = []

    async def fails(me: actors.Me[str]) -> None:
        begun.append(trio.current_time())
        me.ready()
        raise Boom

    intensity = actors.Intensity(10, 5.0, actors.Backoff(first=0.1, factor=2.0, limit=5.0, jitter=0.0))
    with pytest.raises(actors.Escalated, match="after 10 restarts"):
        async with actors.open_supervisor(
            intensity=intensity, on_failure=lambda ref, exit: None
        ) as supervisor:
            supervisor.start_soon(actors.actor(fails), restart=actors.PERMANENT)
            await trio.sleep_forever()
    waits = [round(later - earlier, 3) for earlier, later in itertools.pairwise(begun)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]


cleanups = st.lists(
    st.one_of(st.floats(0.0, 2.0), st.just(100.0)),  # 100: cancelled by its stop timeout
    max_size=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cleanups,
    st.sampled_from(list(actors.Strategy)),
    st.sampled_from([None, True, False]),
    st.integers(0, 2**32),
)
def test_leaving_takes_as_long_as_a_model_says(
    seconds: list[float], strategy: actors.Strategy, stop_in_order: bool | None, seed: int
) -> None:
    timeout = 3.0
    refs: list[actors.Ref[Any]] = []
    ended: list[str] = []

    async def child(me: actors.Me[Any], number: int) -> None:
        try:
            await slow_to_stop(me, seconds[number])
        finally:
            ended.append(me.name)

    async def main() -> float:
        async with actors.open_supervisor(
            strategy=strategy, stop_in_order=stop_in_order, stop_timeout=timeout
        ) as supervisor:
            for number in range(len(seconds)):
                refs.append(await supervisor.start(actors.actor(child, number), name=str(number)))
            begun = trio.current_time()
        return trio.current_time() - begun

    took = run_seeded(main, seed=seed)
    real = [min(each, timeout) for each in seconds]
    in_order = strategy is not actors.ONE_FOR_ONE if stop_in_order is None else stop_in_order
    assert took == pytest.approx(sum(real) if in_order else max(real, default=0.0))
    if in_order:
        assert ended == [str(number) for number in reversed(range(len(seconds)))]
    for each, ref in zip(seconds, refs, strict=True):
        assert ref.exit is not None
        wanted = actors.ExitKind.CANCELLED if each > timeout else actors.ExitKind.STOPPED
        assert ref.exit.kind is wanted


runs_of_children = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.sampled_from(["hangs", "fails", "works"]), max_size=3)),
    max_size=6,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs_of_children, st.sampled_from(list(actors.Strategy)), st.integers(0, 2**32))
def test_restarts_that_hang_or_fail_are_counted_as_a_model_says(
    history: list[tuple[int, list[str]]], strategy: actors.Strategy, seed: int
) -> None:
    """Each entry makes one child fail, and says how its next runs begin; a run that is not told to, works."""
    restarts, timeout = 4, 10.0
    plans: dict[int, list[str]] = {0: [], 1: [], 2: []}
    wanted_failures = [0, 0, 0]
    escalates = False
    left = restarts
    for which, plan in history:
        bad = plan.index("works") if "works" in plan else len(plan)
        failures = 1 + bad
        if failures > left:
            escalates = True
        wanted_failures[which] += min(failures, left + 1)
        left -= min(failures, left)
        if escalates:
            break
    seen = [0, 0, 0]

    async def child(me: actors.Me[str], number: int) -> None:
        how = plans[number].pop(0) if plans[number] else "works"
        if how == "hangs":
            await trio.sleep_forever()
        if how == "fails":
            raise Boom
        async for _ in me:
            raise Boom

    def note(ref: actors.Ref[Any], exit: actors.Exit) -> None:
        assert isinstance(exit.cause, Boom | actors.StartTimeout)
        seen[int(ref.name)] += 1

    async def main() -> None:
        async with actors.open_supervisor(
            strategy=strategy,
            intensity=actors.Intensity(restarts, 1e6),
            start_timeout=timeout,
            on_failure=note,
        ) as supervisor:
            refs = [
                await supervisor.start(
                    actors.actor(child, number), name=str(number), restart=actors.PERMANENT
                )
                for number in range(3)
            ]
            for number, plan in history:
                bad = plan.index("works") if "works" in plan else len(plan)
                plans[number] = plan[:bad]
                await refs[number].tell("fail")
                await trio.sleep(timeout * 4 + 1)
                assert all(ref.state is actors.State.RUNNING for ref in refs)

    if escalates:
        with pytest.raises(actors.Escalated):
            run_seeded(main, seed=seed)
    else:
        run_seeded(main, seed=seed)
    assert seen == wanted_failures


async def test_the_failure_of_a_second_actor_is_not_lost(autojump_clock: MockClock) -> None:
    """Both fail in the same turn; the first escalates, the second is kept beside it."""

    async def fails(me: actors.Me[str]) -> None:
        async for _ in me:
            raise Boom(me.name)

    with pytest.raises(actors.Escalated) as caught:
        async with actors.open_supervisor(intensity=actors.Intensity(restarts=0)) as supervisor:
            refs = [
                await supervisor.start(actors.actor(fails), name=name, restart=actors.TRANSIENT)
                for name in "ab"
            ]
            for ref in refs:
                ref.try_tell("fail")
            await trio.sleep_forever()
    first, (second,) = caught.value.cause, caught.value.others
    assert {str(first), str(second)} == {"a", "b"}
    assert any(repr(second) in note for note in caught.value.__notes__)
