"""Mistakes get an error that says whose fault it is."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from tests.support.sample_actors import Boom, asking, keep


async def test_an_actor_that_asks_itself_is_told_instead_of_waiting_for_ever() -> None:
    async def selfish(me: actors.Me[Any]) -> None:
        async for _ in me:
            await me.ref.ask(asking("me?"), timeout=1000)

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(selfish), name="selfish")
        await ref.tell("go")
        exit = await ref.wait()
    assert isinstance(exit.cause, actors.SelfAsk)
    assert "'selfish' asked itself" in str(exit.cause)


async def test_a_cycle_of_asks_ends_at_the_deadline_and_is_named(autojump_clock: MockClock) -> None:
    outcomes: list[object] = []
    refs: list[actors.Ref[Any]] = []

    async def asks_the_other(me: actors.Me[Any], other: int) -> None:
        async for _ in me:
            try:
                outcomes.append(await refs[other].ask(asking("?"), timeout=3))
            except actors.AskTimeout as error:
                outcomes.append(str(error))

    async with actors.open_supervisor() as supervisor:
        refs.append(await supervisor.start(actors.actor(asks_the_other, 1), name="a"))
        refs.append(await supervisor.start(actors.actor(asks_the_other, 0), name="b"))
        await refs[0].tell("go")
        await trio.sleep(3.5)
        for ref in refs:
            ref.cancel()
    assert any("they wait for each other: " in str(outcome) for outcome in outcomes)


@pytest.mark.parametrize("way", ["tell", "try_tell", "ask"])
async def test_whoever_sends_to_an_actor_that_has_ended_is_told_how_it_ended(way: str) -> None:
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), name="gone")
        await ref.tell("boom")
        await ref.wait()
        with pytest.raises(actors.ActorStopped, match=r"'gone' takes no more messages: it has failed: Boom"):
            if way == "tell":
                await ref.tell("late")
            elif way == "try_tell":
                ref.try_tell("late")
            else:
                await ref.ask(asking("late"), timeout=30)


async def test_a_name_can_be_used_again_only_after_its_bearer_has_ended() -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), name="a")
        with pytest.raises(actors.NameTaken, match="has a living child 'a'"):
            await supervisor.start(actors.actor(keep, []), name="a")
        ref.stop()
        await ref.wait()
        await supervisor.start(actors.actor(keep, []), name="a")


async def test_a_spec_is_a_recipe_and_can_be_started_twice() -> None:
    log: list[Any] = []
    spec = actors.actor(keep, log)
    async with actors.open_supervisor() as supervisor:
        first, second = await supervisor.start(spec), await supervisor.start(spec)
        assert first.name != second.name
        await first.tell(1)
        await wait_all_tasks_blocked()
        await second.tell(2)
    assert log == [1, 2]


@pytest.mark.parametrize("after_receive", [False, True])
async def test_an_actor_that_says_twice_that_it_is_ready_is_told(after_receive: bool) -> None:
    async def eager(me: actors.Me[Any]) -> None:
        if after_receive:
            await me.receive()
        else:
            me.ready()
        me.ready()

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(eager), name="eager")
        if after_receive:
            await ref.tell("go")
        exit = await ref.wait()
    assert isinstance(exit.cause, actors.AlreadyReady)


async def test_a_supervisor_is_of_no_use_outside_of_its_block() -> None:
    async with actors.open_supervisor(name="early") as supervisor:
        pass
    with pytest.raises(actors.SupervisorClosed, match="inside of its `async with` block"):
        await supervisor.start(actors.actor(keep, []))


async def test_a_supervisor_that_is_being_left_starts_nothing() -> None:
    caught: list[Exception] = []

    async def late(me: actors.Me[Any], supervisor: actors.Supervisor) -> None:
        async for _ in me:
            pass
        try:
            await supervisor.start(actors.actor(keep, []))
        except actors.SupervisorClosed as error:
            caught.append(error)

    async with actors.open_supervisor() as supervisor:
        await supervisor.start(actors.actor(late, supervisor))
    assert "is being left" in str(caught[0])


async def test_a_handler_that_raises_names_itself_in_the_escalation() -> None:
    with pytest.raises(actors.Escalated, match="actor 'mine' failed: Boom") as caught:
        async with actors.open_supervisor(intensity=actors.Intensity(restarts=0)) as supervisor:
            ref = await supervisor.start(actors.actor(keep, []), name="mine", restart=actors.TRANSIENT)
            await ref.tell("boom")
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, Boom)


async def test_two_tasks_that_receive_from_one_mailbox_are_told() -> None:
    async def double(me: actors.Me[Any]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(me.receive)
            nursery.start_soon(me.receive)

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(double), name="double")
        exit = await ref.wait()
    assert isinstance(exit.cause, ExceptionGroup)
    assert exit.cause.subgroup(actors.AlreadyReceiving) is not None


def test_an_actor_must_be_a_function() -> None:
    with pytest.raises(TypeError, match="an actor is a coroutine function"):
        actors.actor("not a function")  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{"restarts": -1}, {"seconds": 0}])
def test_an_impossible_intensity_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an intensity needs"):
        actors.Intensity(**arguments)


async def test_a_message_of_nobodys_type_fails_the_actor_that_cannot_handle_it() -> None:
    """Types are checked by the type checker; at run time a wrong message is the handler's to refuse."""

    async def strict(me: actors.Me[int]) -> None:
        async for number in me:
            assert number + 1

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(strict))
        ref.try_tell("text")  # type: ignore[arg-type]
        exit = await ref.wait()
    assert isinstance(exit.cause, TypeError)
    assert [letter.message for letter in exit.dead_letters] == ["text"]
