"""Which actors are restarted, in which order, after what, and when a failure escalates."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from tests.support.sample_actors import Boom, keep, named

KIND = actors.ExitKind


async def test_one_for_one_restarts_only_the_one_that_failed() -> None:
    log: list[str] = []
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        refs = [
            await supervisor.start(actors.actor(named, log), name=name, restart=actors.TRANSIENT)
            for name in "ab"
        ]
        await refs[0].tell("boom")
        await wait_all_tasks_blocked()
        assert log == ["a+", "b+", "a-", "a+"]


async def test_one_for_all_restarts_all_in_order_and_keeps_their_mailboxes() -> None:
    log: list[str] = []
    async with actors.open_supervisor(
        strategy=actors.ONE_FOR_ALL, on_failure=lambda ref, exit: None
    ) as supervisor:
        refs = [
            await supervisor.start(actors.actor(named, log), name=name, restart=actors.TRANSIENT)
            for name in "abc"
        ]
        await wait_all_tasks_blocked()
        refs[1].try_tell("boom")
        refs[1].try_tell("kept")
        await wait_all_tasks_blocked()
        assert log == ["a+", "b+", "c+", "b-", "c-", "a-", "a+", "b+", "b:kept", "c+"]


async def test_rest_for_one_restarts_those_that_were_started_later() -> None:
    log: list[str] = []
    async with actors.open_supervisor(
        strategy=actors.REST_FOR_ONE, on_failure=lambda ref, exit: None
    ) as supervisor:
        refs = [
            await supervisor.start(actors.actor(named, log), name=name, restart=actors.TRANSIENT)
            for name in "abc"
        ]
        await refs[1].tell("boom")
        await wait_all_tasks_blocked()
        assert log == ["a+", "b+", "c+", "b-", "c-", "b+", "c+"]


@pytest.mark.parametrize("strategy", [actors.ONE_FOR_ALL, actors.REST_FOR_ONE])
async def test_a_later_sibling_waits_until_the_earlier_one_has_really_come_back(
    strategy: actors.Strategy,
) -> None:
    log: list[str] = []
    runs: list[int] = []

    async def fails_once_to_come_back(me: actors.Me[str]) -> None:
        runs.append(1)
        if len(runs) == 2:
            log.append("no luck")
            raise Boom
        await named(me, log)

    async with actors.open_supervisor(strategy=strategy, on_failure=lambda ref, exit: None) as supervisor:
        first = await supervisor.start(
            actors.actor(fails_once_to_come_back), name="a", restart=actors.PERMANENT
        )
        await supervisor.start(actors.actor(named, log), name="b", restart=actors.PERMANENT)
        await first.tell("boom")
        await wait_all_tasks_blocked()
        assert log == ["a+", "b+", "a-", "b-", "no luck", "a+", "b+"]


async def test_a_temporary_child_ends_in_a_restart_of_all() -> None:
    log: list[str] = []
    async with actors.open_supervisor(
        strategy=actors.ONE_FOR_ALL, on_failure=lambda ref, exit: None
    ) as supervisor:
        first = await supervisor.start(actors.actor(named, log), name="a", restart=actors.PERMANENT)
        second = await supervisor.start(actors.actor(named, log), name="b")
        await first.tell("boom")
        await wait_all_tasks_blocked()
        assert log == ["a+", "b+", "a-", "b-", "a+"]
        assert second.exit is not None
        assert second.exit.kind is KIND.STOPPED


@pytest.mark.parametrize(
    ("restart", "message", "again"),
    [
        (actors.PERMANENT, "boom", True),
        (actors.PERMANENT, "quit", True),
        (actors.TRANSIENT, "boom", True),
        (actors.TRANSIENT, "quit", False),
        (actors.TEMPORARY, "boom", False),
        (actors.TEMPORARY, "quit", False),
    ],
)
async def test_who_is_restarted_after_what(restart: actors.Restart, message: str, again: bool) -> None:
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), restart=restart)
        await ref.tell(message)
        await wait_all_tasks_blocked()
        assert ref.state is (actors.State.RUNNING if again else actors.State.ENDED)


async def test_one_failure_too_many_escalates_with_its_cause() -> None:
    with pytest.raises(actors.Escalated, match=r"failed again, after 2 restarts within 5\.0 s") as caught:
        async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
            ref = await supervisor.start(actors.actor(keep, []), name="a", restart=actors.PERMANENT)
            for _ in range(3):
                await ref.tell("boom")
            await trio.sleep_forever()
    assert caught.value.child == "a"
    assert isinstance(caught.value.__cause__, Boom)


async def test_a_child_may_have_an_intensity_of_its_own(autojump_clock: MockClock) -> None:
    patient = actors.Intensity(restarts=5, seconds=60.0, causes=(Boom,))
    with pytest.raises(actors.Escalated, match=r"failed again, after 5 restarts within 60\.0 s") as caught:
        async with actors.open_supervisor(
            intensity=actors.Intensity(restarts=0), on_failure=lambda ref, exit: None
        ) as supervisor:
            ref = await supervisor.start(
                actors.actor(keep, []), name="a", restart=actors.PERMANENT, intensity=patient
            )
            for _ in range(6):
                await ref.tell("boom")
                await trio.sleep(9)
    assert caught.value.child == "a"


async def test_a_failure_that_a_restart_cannot_help_escalates_at_once() -> None:
    with pytest.raises(actors.Escalated, match="actor 'a' failed: ") as caught:
        async with actors.open_supervisor(
            intensity=actors.Intensity(restarts=5, causes=(OSError,)), on_failure=lambda ref, exit: None
        ) as supervisor:
            ref = await supervisor.start(actors.actor(keep, []), name="a", restart=actors.TRANSIENT)
            await ref.tell("boom")
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, Boom)


async def test_failures_that_are_far_enough_apart_do_not_escalate(autojump_clock: MockClock) -> None:
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), restart=actors.PERMANENT)
        for _ in range(10):
            await ref.tell("boom")
            await trio.sleep(3)
        assert ref.statistics().restarts == 10


async def test_a_restart_waits_for_the_backoff_while_messages_queue_up(autojump_clock: MockClock) -> None:
    handled: list[float] = []

    async def stamp(me: actors.Me[str]) -> None:
        async for message in me:
            if message == "boom":
                raise Boom
            handled.append(trio.current_time())

    backoff = actors.Backoff(first=1.0, factor=2.0, limit=3.0, jitter=0.0)
    async with actors.open_supervisor(
        intensity=actors.Intensity(5, 1000.0, backoff), on_failure=lambda ref, exit: None
    ) as supervisor:
        ref = await supervisor.start(actors.actor(stamp), restart=actors.PERMANENT)
        for at in (0, 100, 200):
            await trio.sleep_until(at)
            await ref.tell("boom")
            await wait_all_tasks_blocked()
            assert ref.state is actors.State.RESTING
            await ref.tell("kept")
        await trio.sleep(10)
    assert handled == [1.0, 102.0, 203.0]
