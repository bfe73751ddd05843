"""Actors without a task: handled by the sender, in order, one at a time; in all else actors like any other."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings, strategies as st

import actors
from actors.inline_handles import CHECKPOINT_EVERY
from actors.testing import run_seeded
from tests.actors.test_hooks import Recorder
from tests.support.inline_actors import Total, start
from tests.support.sample_actors import Boom, keep


async def test_a_message_is_handled_before_tell_returns() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        ref = await start(supervisor, log)
        await ref.tell(1)
        ref.try_tell(2)
        assert log == ["set up", 1, 2]
        answer: int = await ref.ask(Total(), timeout=5)
        assert answer == 3
        assert ref.state is actors.State.RUNNING
        assert ref.statistics().taken == 3
    assert ref.exit is not None
    assert ref.exit.kind is actors.ExitKind.STOPPED


async def test_a_tell_can_be_given_to_a_nursery() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await start(supervisor, log)
        nursery.start_soon(ref.tell, 1)
        with trio.fail_after(300):
            await ref.tell(2)
    assert sorted(log[1:]) == [1, 2]


async def test_a_tell_from_inside_waits_for_its_turn() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        ref = await start(supervisor, log)
        await ref.tell([1, [2, 3], 4])
    assert log == ["set up", "sent [1, [2, 3], 4]", 1, "sent [2, 3]", 4, 2, 3]


async def test_two_that_tell_each_other_take_turns() -> None:
    log: list[tuple[str, int]] = []
    refs: list[actors.Ref[int]] = []

    def player(me: actors.InlineMe[int], other: int) -> Callable[[int], None]:
        def handle(number: int) -> None:
            log.append((me.name, number))
            if number:
                refs[other].try_tell(number - 1)
            log.append((me.name, -number))

        return handle

    async with actors.open_supervisor() as supervisor:
        for name, other in (("a", 1), ("b", 0)):
            refs.append(await supervisor.start(actors.inline(player, other), name=name))
        await refs[0].tell(2)
    assert log == [("a", 2), ("b", 1), ("b", -1), ("a", -2), ("a", 0), ("a", 0)]


async def test_a_handler_that_waits_is_an_error() -> None:
    def set_up(me: actors.InlineMe[str]) -> Callable[[str], object]:
        async def handle(message: str) -> None:
            await trio.sleep(1)

        return handle

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.inline(set_up))
        await ref.tell("x")
        assert ref.exit is not None
        assert isinstance(ref.exit.cause, TypeError)
        assert "must be a plain function that never waits" in str(ref.exit.cause)
        assert [letter.message for letter in ref.exit.dead_letters] == ["x"]


async def test_it_is_traced_like_any_other() -> None:
    hooks = Recorder()
    async with actors.open_supervisor(hooks=hooks) as supervisor:
        ref = await start(supervisor, [])
        await ref.tell(1)
    assert hooks.log == [
        ("starting", "running", None),
        ("sent", "adder", 1),
        ("received", "adder", 1, "token 1"),
        ("handled", "adder"),
        ("running", "stopping", None),
        ("stopping", "ended", "stopped"),
    ]


async def test_the_tree_shows_it() -> None:
    async with actors.open_supervisor() as supervisor:
        await start(supervisor, [])
        await supervisor.start(actors.actor(keep, []), name="with a task")
        drawn = [line.strip() for line in actors.tree().splitlines()]
        assert "<actor 'adder' running 0/64>" in drawn
        assert "<actor 'with a task' running 0/64>" in drawn
    assert "adder" not in actors.tree()


async def test_a_loop_of_tells_can_be_cancelled() -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await start(supervisor, [])
        with trio.CancelScope() as scope:
            scope.cancel()
            for number in range(1000):
                await ref.tell(number)
        assert scope.cancelled_caught


async def test_a_cancelled_block_ends_it() -> None:
    refs: list[actors.Ref[Any]] = []
    with trio.CancelScope() as scope:
        async with actors.open_supervisor() as supervisor:
            refs.append(await start(supervisor, []))
            scope.cancel()
            await trio.sleep_forever()
    assert refs[0].exit is not None
    with pytest.raises(actors.ActorStopped):
        refs[0].try_tell(1)


async def test_what_it_tells_a_stopped_sibling_while_the_block_is_left_is_a_dead_letter() -> None:
    log: list[Any] = []
    letters: list[actors.DeadLetter] = []
    refs: list[actors.Ref[Any]] = []

    async def last_words(me: actors.Me[str]) -> None:
        async for _ in me:
            pass
        refs[0].try_tell("forward")

    def forward(me: actors.InlineMe[str]) -> Callable[[str], None]:
        return lambda message: refs[1].try_tell(message)

    async with actors.open_supervisor(
        strategy=actors.REST_FOR_ONE, on_dead_letter=letters.append
    ) as supervisor:
        refs.append(await supervisor.start(actors.inline(forward), restart=actors.TRANSIENT))
        await supervisor.start(actors.actor(last_words))
        refs.append(await supervisor.start(actors.actor(keep, log), name="keep"))
    assert log == []
    assert [(letter.target, letter.message) for letter in letters] == [("keep", "forward")]


async def test_an_ended_one_is_freed_without_the_garbage_collector() -> None:
    async with actors.open_supervisor() as supervisor:
        gc.collect()
        gc.disable()
        try:
            ref = await start(supervisor, [])
            await ref.tell(1)
            handle = weakref.ref(ref)
            ref.stop()
            del ref
            assert handle() is None
        finally:
            gc.enable()


async def test_a_keyboard_interrupt_in_a_handler_reaches_the_sender() -> None:
    def interrupted(me: actors.InlineMe[str]) -> Callable[[str], None]:
        def handle(message: str) -> None:
            raise KeyboardInterrupt

        return handle

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.inline(interrupted), restart=actors.PERMANENT)
        with pytest.raises(KeyboardInterrupt):
            ref.try_tell("x")
        assert ref.exit is not None


deeds = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2)),
        st.tuples(st.just("nested"), st.integers(1, 3)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 3)),
    ),
    max_size=25,
)
Message = tuple[str, int, int]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    deeds,
    st.sampled_from(["stop", "stop at once", "cancel", "leave"]),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_no_message_is_lost_doubled_or_reordered(
    history: list[tuple[str, int]], ending: str, capacity: int, seed: int
) -> None:
    sent: list[Message] = []
    begun: list[Message] = []
    ended: list[Message] = []
    buried: list[Message] = []

    def set_up(me: actors.InlineMe[Message]) -> Callable[[Message], None]:
        def handle(message: Message) -> None:
            begun.append(message)
            lane, number, inside = message
            for each in range(inside):
                inner = ("inside", number * 10 + each, 0)
                try:
                    me.ref.try_tell(inner)
                except actors.ActorError:
                    continue
                sent.append(inner)
            if lane == "fail":
                raise Boom
            ended.append(message)

        return handle

    async def main() -> None:
        async with (
            actors.open_supervisor(
                intensity=actors.Intensity(3, 1.0, actors.Backoff(first=2.0)),
                on_failure=lambda ref, exit: None,
                on_dead_letter=lambda letter: buried.append(letter.message),
            ) as supervisor,
            trio.open_nursery() as nursery,
        ):
            ref = await supervisor.start(actors.inline(set_up), capacity=capacity, restart=actors.PERMANENT)

            async def send(message: Message) -> None:
                try:
                    await ref.tell(message)
                except actors.ActorStopped:
                    return
                sent.append(message)

            for index, (deed, number) in enumerate(history):
                if deed == "send":
                    nursery.start_soon(send, ("beside", index, 0))
                elif deed == "wait":
                    await trio.sleep(number)
                else:
                    await send((deed, index, number))
            if ending == "stop":
                ref.stop()
            elif ending == "stop at once":
                ref.stop(drain=False)
            elif ending == "cancel":
                ref.cancel()

    try:
        run_seeded(main, seed=seed)
    except* actors.Escalated:
        pass
    assert len(set(begun)) == len(begun), "handled twice"
    assert len(set(buried)) == len(buried), "buried twice"
    for message in sent:
        assert (message in ended) + (message in buried) == 1, f"{message} has no fate, or two"
    assert set(begun) - set(ended) <= set(buried), "broken off, and not reported"
    mine = [number for lane, number, _ in begun if lane in ("nested", "fail")]
    assert mine == sorted(mine), "the messages of one sender were reordered"
    inside = [number for lane, number, _ in begun if lane == "inside"]
    assert inside == sorted(inside), "the messages from inside were reordered"


async def test_a_tell_is_like_that_of_any_other_actor_for_those_that_call_or_wrap_it() -> None:
    log: list[int] = []

    def collect(me: actors.InlineMe[int]) -> Callable[[int], None]:
        return log.append

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.inline(collect))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.tell, 1)
        told = ref.tell(2)
        assert log == [1, 2]
        await told
        await told
        told.close()
        for number in range(3, 1000):
            assert await ref.tell(number) is None  # type: ignore[func-returns-value]
    assert log == list(range(1, 1000))


async def test_tells_to_many_actors_without_a_task_can_be_cancelled() -> None:
    def ignore(me: actors.InlineMe[int]) -> Callable[[int], None]:
        return lambda number: None

    async with actors.open_supervisor() as supervisor:
        refs = [await supervisor.start(actors.inline(ignore)) for _ in range(100)]
        told = 0
        with trio.CancelScope() as scope:
            scope.cancel()
            while True:
                for ref in refs:
                    await ref.tell(1)
                    told += 1
        assert told <= CHECKPOINT_EVERY
