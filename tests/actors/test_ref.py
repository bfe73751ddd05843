from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from actors.mailbox import budget
from tests.support.sample_actors import Boom, Question, asking, gated, keep, serve

KIND = actors.ExitKind


async def test_messages_arrive_in_the_order_in_which_they_were_sent() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, log))
        for number in range(1000):
            await ref.tell(number)
    assert log == list(range(1000))


async def test_ask_returns_the_reply() -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, []))
        assert await ref.ask(asking("hello"), timeout=30) == "hello"


async def test_ask_raises_what_the_actor_gave_to_fail() -> None:
    async def refuse(me: actors.Me[Question]) -> None:
        async for question in me:
            question.reply.fail(PermissionError("no"))

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(refuse))
        with pytest.raises(PermissionError, match="no"):
            await ref.ask(asking("may I?"), timeout=30)
        assert ref.state is actors.State.RUNNING


async def test_ask_has_a_deadline_and_the_late_reply_is_counted(autojump_clock: MockClock) -> None:
    async def late(me: actors.Me[Question]) -> None:
        async for question in me:
            await trio.sleep(5)
            assert not question.reply.wanted
            question.reply.set("too late")

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(late), name="late")
        with pytest.raises(actors.AskTimeout, match="'late' did not reply within 2 s") as caught:
            await ref.ask(asking("?"), timeout=2)
        assert caught.value.seconds == 2
        assert ref.statistics().asks_open == 0
        await trio.sleep(10)
        assert ref.statistics().late_replies == 1


async def test_the_deadline_of_an_ask_covers_the_wait_for_room(autojump_clock: MockClock) -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(gated, trio.Event(), []), capacity=1)
        await ref.tell("first")
        with pytest.raises(actors.AskTimeout):
            await ref.ask(asking("?"), timeout=2)
        assert ref.statistics().queued == 1
        ref.cancel()


async def test_a_reply_reaches_an_actor_whose_own_mailbox_is_full(autojump_clock: MockClock) -> None:
    answers: list[str] = []

    async def asker(me: actors.Me[str], other: actors.Ref[Question]) -> None:
        async for text in me:
            answers.append(await other.ask(asking(text), timeout=5))

    async with (
        actors.open_supervisor(strategy=actors.REST_FOR_ONE) as supervisor,
        trio.open_nursery() as nursery,
    ):
        echo = await supervisor.start(actors.actor(keep, []))
        ref = await supervisor.start(actors.actor(asker, echo), capacity=1)
        for text in "abcdef":
            nursery.start_soon(ref.tell, text)
    assert sorted(answers) == list("abcdef")


@pytest.mark.parametrize("restart", list(actors.Restart))
async def test_the_asker_learns_of_the_callees_failure_at_once_with_its_cause(
    restart: actors.Restart, autojump_clock: MockClock
) -> None:
    async def fail(me: actors.Me[Question]) -> None:
        async for _ in me:
            raise Boom("while handling")

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(fail), restart=restart)
        begun = trio.current_time()
        with pytest.raises(actors.ActorFailed) as caught:
            await ref.ask(asking("?"), timeout=1000)
        assert isinstance(caught.value.__cause__, Boom)
        assert trio.current_time() == begun


async def test_a_question_that_waits_in_the_mailbox_survives_a_restart(autojump_clock: MockClock) -> None:
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), restart=actors.PERMANENT)
        ref.try_tell("boom")
        assert await ref.ask(asking("still there?"), timeout=5) == "still there?"


async def test_the_asker_learns_that_the_callee_was_stopped_without_draining() -> None:
    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        gate = trio.Event()
        ref = await supervisor.start(actors.actor(gated, gate, []), name="gated")

        async def ask() -> None:
            with pytest.raises(actors.ActorStopped, match=r"it has stopped: no time left"):
                await ref.ask(asking("?"), timeout=1000)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        ref.stop("no time left", drain=False)
        gate.set()


async def test_stop_closes_the_intake_drains_and_lets_the_actor_clean_up() -> None:
    log: list[Any] = []
    gate = trio.Event()

    async def tidy(me: actors.Me[int]) -> None:
        await gated(me, gate, log)
        await trio.lowlevel.checkpoint()
        log.append("cleaned up")

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(tidy), name="tidy")
        await ref.tell(1)
        await ref.tell(2)
        ref.stop("enough")
        with pytest.raises(actors.ActorStopped, match="'tidy' takes no more messages: it is stopping"):
            await ref.tell(3)
        gate.set()
        exit = await ref.wait()
    assert log == [1, 2, "cleaned up"]
    assert (exit.kind, exit.reason, exit.dead_letters) == (KIND.STOPPED, "enough", ())


async def test_a_stop_without_draining_takes_effect_before_the_next_of_10_000_messages() -> None:
    log: list[int] = []

    async def stop_at_three(me: actors.Me[int]) -> None:
        async for number in me:
            log.append(number)
            if number == 3:
                me.ref.stop("three", drain=False)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(stop_at_three), capacity=10_000)
        for number in range(10_000):
            ref.try_tell(number)
        exit = await ref.wait()
    assert log == [0, 1, 2, 3]
    assert [letter.message for letter in exit.dead_letters] == list(range(4, 10_000))


async def test_an_actor_with_10_000_messages_sees_an_ordered_stop_before_the_next_one() -> None:
    stopping: list[bool] = []

    async def look(me: actors.Me[int]) -> None:
        async for number in me:
            stopping.append(me.stopping)
            if number == 3:
                me.ref.stop()

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(look), capacity=10_000)
        for number in range(10_000):
            ref.try_tell(number)
        await ref.wait()
    assert stopping == [False] * 4 + [True] * 9_996


async def test_senders_that_wait_for_room_learn_of_the_stop() -> None:
    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        gate = trio.Event()
        ref = await supervisor.start(actors.actor(gated, gate, []), capacity=1)
        await ref.tell(1)

        async def send() -> None:
            with pytest.raises(actors.ActorStopped):
                await ref.tell(2)

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        ref.stop()
        gate.set()


async def test_a_stop_that_takes_too_long_becomes_a_cancellation(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, log), stop_timeout=3)
        await ref.tell("hang")
        await ref.tell("never")
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        ref.stop()
        exit = await ref.wait()
        assert trio.current_time() - begun == 3
    assert exit.kind is KIND.CANCELLED
    assert exit.reason == "it did not stop within 3 s"
    assert [letter.message for letter in exit.dead_letters] == ["hang", "never"]


async def test_cleanup_after_a_stop_is_shielded_until_the_stops_deadline(autojump_clock: MockClock) -> None:
    done: list[str] = []

    async def slow_cleanup(me: actors.Me[int], seconds: float) -> None:
        async for _ in me:
            pass
        await trio.sleep(seconds)
        done.append(me.name)

    with trio.move_on_after(1) as scope:
        async with actors.open_supervisor(stop_timeout=10) as supervisor:
            refs = [
                await supervisor.start(actors.actor(slow_cleanup, seconds), name=name)
                for name, seconds in (("quick", 5), ("endless", float("inf")))
            ]
            for ref in refs:
                ref.stop()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert done == ["quick"]
    assert trio.current_time() == 10
    kinds = [ref.exit.kind for ref in refs if ref.exit is not None]
    assert kinds == [KIND.STOPPED, KIND.CANCELLED]


async def test_cancel_reaches_the_running_handler_with_its_reason() -> None:
    reasons: list[str] = []

    async def hang(me: actors.Me[str]) -> None:
        async for _ in me:
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                reasons.append(str(cancelled))
                raise

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(hang), restart=actors.PERMANENT)
        await ref.tell("a")
        await ref.tell("b")
        await wait_all_tasks_blocked()
        ref.cancel("no longer needed")
        ref.cancel("again")
        exit = await ref.wait()
    assert "no longer needed" in reasons[0]
    assert (exit.kind, exit.reason) == (KIND.CANCELLED, "no longer needed")
    assert [letter.message for letter in exit.dead_letters] == ["a", "b"]
    assert ref.statistics().restarts == 0


@pytest.mark.parametrize(("function", "beginnings"), [(keep, 0), (serve, 1)])
async def test_interrupt_cancels_the_handler_and_the_actor_lives_on(function: Any, beginnings: int) -> None:
    log: list[Any] = []
    letters: list[actors.DeadLetter] = []
    async with actors.open_supervisor(on_dead_letter=letters.append) as supervisor:
        ref = await supervisor.start(actors.actor(function, log), capacity=10_001)
        ref.try_tell("hang")
        for number in range(10_000):
            ref.try_tell(number)
        await wait_all_tasks_blocked()
        assert ref.interrupt("enough of this")
        await wait_all_tasks_blocked()
        assert ref.statistics().interrupts == 1
        assert ref.state is actors.State.RUNNING
        await ref.tell("on")
    assert log == ["begun"] * beginnings + ["hang", *range(10_000), "on"]
    assert [(letter.message, letter.why) for letter in letters] == [
        ("hang", "its handler was interrupted: enough of this")
    ]


async def test_an_interrupt_of_a_handler_that_ends_anyway_does_not_hit_the_next_message() -> None:
    log: list[int] = []

    async def self_interrupting(me: actors.Me[int]) -> None:
        async for number in me:
            if number == 1:
                assert me.ref.interrupt()
            else:
                await trio.lowlevel.checkpoint()
            log.append(number)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(self_interrupting))
        for number in range(4):
            ref.try_tell(number)
    assert log == [0, 1, 2, 3]
    assert ref.statistics().dead_letters == 0


async def test_interrupt_of_an_idle_actor_does_nothing() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, log))
        await wait_all_tasks_blocked()
        assert not ref.interrupt()
        await ref.tell("on")
    assert log == ["on"]


async def test_who_asked_an_interrupted_handler_is_told_so() -> None:
    async def hang(me: actors.Me[Question]) -> None:
        async for _ in me:
            await trio.sleep_forever()

    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start(actors.actor(hang))

        async def ask() -> None:
            with pytest.raises(actors.Interrupted, match="changed my mind"):
                await ref.ask(asking("?"), timeout=1000)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert ref.interrupt("changed my mind")


async def test_a_reference_that_is_dropped_stops_nothing() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        await (await supervisor.start(actors.actor(keep, log))).tell(1)
        await wait_all_tasks_blocked()
        assert len(supervisor.children) == 1
    assert log == [1]


async def test_an_actor_can_be_watched_waited_for_and_looked_at_after_its_end() -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), name="short")
        await ref.tell("quit")
        exit = await ref.wait()
        assert exit == await ref.wait() == ref.exit
        assert exit.kind is KIND.FINISHED
        assert repr(ref) == "<Ref to <actor 'short' ended 0/64>>"
        ref.stop()
        ref.cancel()
        assert not ref.interrupt()


async def test_a_failure_before_the_question_was_sent_does_not_concern_the_asker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def echo(me: actors.Me[Any]) -> None:
        async for message in me:
            if message == "boom":
                raise Boom
            message.reply.set(message.text)

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(echo), restart=actors.TRANSIENT)
        ref.try_tell("boom")
        # The ask runs a checkpoint first, during which the actor fails.
        monkeypatch.setattr(budget, "left", 0)
        assert await ref.ask(asking("still"), timeout=5) == "still"
