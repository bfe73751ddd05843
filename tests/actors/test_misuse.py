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


async def test_telling_oneself_with_a_full_mailbox_is_an_error(autojump_clock: MockClock) -> None:
    outcome: list[Exception] = []

    async def worker(me: actors.Me[Any]) -> None:
        async for message in me:
            if message == "go":
                try:
                    for number in range(3):
                        await me.ref.tell(number)
                except actors.SelfTell as error:
                    outcome.append(error)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(worker), name="worker", capacity=2)
        await ref.tell("go")
        await trio.sleep(1)
    assert "'worker' told itself with a full mailbox (2 messages)" in str(outcome[0])
    assert ref.statistics().accepted == 3


async def test_a_helper_task_may_wait_for_room_in_its_own_actors_mailbox(autojump_clock: MockClock) -> None:
    log: list[int] = []

    async def worker(me: actors.Me[int]) -> None:
        async def helper() -> None:
            for number in range(10):
                await me.ref.tell(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(helper)
            async for number in me:
                log.append(number)

    async with actors.open_supervisor() as supervisor:
        await supervisor.start(actors.actor(worker), capacity=1)
        await trio.sleep(1)
    assert log == list(range(10))


async def test_waiting_for_ones_own_end_is_an_error(autojump_clock: MockClock) -> None:
    async def worker(me: actors.Me[Any]) -> None:
        async for _ in me:
            me.ref.stop("done")
            with pytest.raises(actors.SelfWait, match="'worker' waits for its own end"):
                await me.ref.wait()

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(worker), name="worker")
        await ref.tell("go")
        exit = await ref.wait()
    assert (exit.kind, trio.current_time()) == (actors.ExitKind.STOPPED, 0)


@pytest.mark.parametrize("length", [2, 3])
async def test_a_cycle_of_blocked_tells_is_named(length: int, autojump_clock: MockClock) -> None:
    refs: list[actors.Ref[Any]] = []
    caught: list[Exception] = []
    gate = trio.Event()

    async def player(me: actors.Me[Any], place: int) -> None:
        async for message in me:
            if message == "go":
                await gate.wait()
                try:
                    for number in range(4):
                        await refs[(place + 1) % length].tell(number)
                except actors.TellCycle as error:
                    caught.append(error)

    async with actors.open_supervisor() as supervisor:
        for place in range(length):
            refs.append(await supervisor.start(actors.actor(player, place), name=f"p{place}", capacity=1))
        for ref in refs:
            await ref.tell("go")
        await trio.sleep(1)
        gate.set()
        await trio.sleep(1)
    (error,) = caught
    names = str(error).split("they wait for each other: ")[1].split(" -> ")
    assert names[0] == names[-1]
    assert sorted(names[1:]) == [f"p{place}" for place in range(length)]


async def test_a_mailbox_that_another_task_reads_makes_no_cycle(autojump_clock: MockClock) -> None:
    refs: list[actors.Ref[Any]] = []
    heard: list[Any] = []

    async def reading_beside(me: actors.Me[Any], other: int) -> None:
        async def read() -> None:
            async for message in me:
                heard.append(message)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(0.1)
            for number in range(4):
                await refs[other].tell(number)

    async with actors.open_supervisor() as supervisor:
        for other in (1, 0):
            refs.append(await supervisor.start(actors.actor(reading_beside, other), capacity=1))
        await trio.sleep(60)
    assert sorted(heard) == [0, 0, 1, 1, 2, 2, 3, 3]


async def test_use_from_a_foreign_thread_is_refused_before_anything_has_changed() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, log), name="worker")
        await wait_all_tasks_blocked()
        for use in (lambda: ref.try_tell("outside"), ref.stop, ref.cancel, ref.interrupt):
            with pytest.raises(actors.WrongThread, match=r"'worker' .* did nothing; use trio\.from_thread"):
                await trio.to_thread.run_sync(use)
        await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(ref.try_tell, "inside"))
        await wait_all_tasks_blocked()
        assert ref.statistics().accepted == 1
    assert log == ["inside"]


async def test_a_reply_from_a_foreign_thread_is_refused_and_can_still_be_given() -> None:
    async def worker(me: actors.Me[actors.Reply[int]]) -> None:
        async for reply in me:
            with pytest.raises(actors.WrongThread):
                await trio.to_thread.run_sync(reply.set, 1)
            reply.set(2)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(worker))
        assert await ref.ask(lambda reply: reply, timeout=300) == 2


async def test_a_function_that_is_started_without_actor_is_named() -> None:
    async with actors.open_supervisor() as supervisor:
        with pytest.raises(TypeError, match=r"start actors\.actor\(function"):
            await supervisor.start(keep)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"start actors\.actor\(function"):
            supervisor.start_soon(keep)  # type: ignore[arg-type]


async def test_a_plain_function_is_no_actor() -> None:
    def plain(me: actors.Me[str]) -> None:
        return None

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        with pytest.raises(
            actors.StartFailed, match=r"coroutine function \(async def\), and plain is a plain"
        ):
            await supervisor.start(actors.actor(plain))  # type: ignore[arg-type]


def test_an_async_generator_is_no_actor() -> None:
    async def generator(me: actors.Me[str]) -> Any:
        yield 1

    with pytest.raises(TypeError, match="must not `yield`"):
        actors.actor(generator)


async def test_an_automatic_name_avoids_one_that_was_chosen() -> None:
    async with actors.open_supervisor() as supervisor:
        await supervisor.start(actors.actor(keep, []), name="keep-1")
        assert (await supervisor.start(actors.actor(keep, []))).name == "keep-2"


def test_a_backoff_that_shrinks_is_refused() -> None:
    for arguments in ({"jitter": 2.0}, {"factor": 0.5}, {"first": -1.0}):
        with pytest.raises(ValueError, match="a backoff needs"):
            actors.Backoff(**arguments)
