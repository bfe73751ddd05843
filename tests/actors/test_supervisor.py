from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from actors.testing import Probe
from tests.support.sample_actors import Boom, keep, named

KIND = actors.ExitKind


@pytest.mark.parametrize("strategy", [actors.ONE_FOR_ALL, actors.REST_FOR_ONE])
async def test_leaving_the_block_stops_dependent_children_in_reverse_order(strategy: actors.Strategy) -> None:
    log: list[str] = []
    async with actors.open_supervisor(strategy=strategy) as supervisor:
        for name in "abc":
            await supervisor.start(actors.actor(named, log), name=name)
    assert log == ["a+", "b+", "c+", "c-", "b-", "a-"]


async def test_the_order_of_stops_can_be_asked_for_beside_the_strategy() -> None:
    log: list[str] = []
    async with actors.open_supervisor(stop_in_order=True) as top:
        sub = await top.start_supervisor(name="sub", strategy=actors.ONE_FOR_ONE, stop_in_order=True)
        for name in "abc":
            await sub.start(actors.actor(named, log), name=name)
    assert log == ["a+", "b+", "c+", "c-", "b-", "a-"]


async def test_start_returns_when_the_actor_is_ready_with_its_value(autojump_clock: MockClock) -> None:
    async def slow(me: actors.Me[str]) -> None:
        await trio.sleep(3)
        me.ready("port 80")
        await trio.sleep(1)
        async for _ in me:
            pass

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(slow))
        assert trio.current_time() == 3
        assert ref.ready_value == "port 80"


async def test_start_soon_returns_before_the_actor_has_run_and_what_it_is_told_waits() -> None:
    async def slow(me: actors.Me[str]) -> None:
        log.append("begun")
        await trio.lowlevel.checkpoint()
        me.ready("port 80")
        async for message in me:
            log.append(message)

    log: list[str] = []
    async with actors.open_supervisor() as supervisor:
        ref = supervisor.start_soon(actors.actor(slow))
        ref.try_tell("hello")
        assert log == []
        with pytest.raises(actors.NameTaken):
            supervisor.start_soon(actors.actor(slow), name=ref.name)
    assert log == ["begun", "hello"]
    assert ref.ready_value == "port 80"


async def test_an_actor_that_is_cancelled_before_it_could_run_never_runs() -> None:
    log: list[str] = []
    async with actors.open_supervisor() as supervisor:
        ref = supervisor.start_soon(actors.actor(named, log))
        ref.cancel("never mind")
        assert (await ref.wait()).kind is KIND.CANCELLED
    assert log == []


async def test_what_fails_after_start_soon_before_it_is_ready_is_restarted_and_then_escalates(
    autojump_clock: MockClock,
) -> None:
    async def unready(me: actors.Me[str]) -> None:
        runs.append(trio.current_time())
        raise Boom("no port")

    runs: list[float] = []
    with pytest.raises(actors.Escalated) as caught:
        async with actors.open_supervisor(
            intensity=actors.Intensity(2, 60.0, actors.Backoff(1.0, jitter=0.0))
        ) as supervisor:
            supervisor.start_soon(actors.actor(unready), name="server", restart=actors.TRANSIENT)
            await trio.sleep_forever()
    assert runs == [0.0, 1.0, 3.0]
    assert caught.value.child == "server"
    assert isinstance(caught.value.cause, Boom)


async def test_a_failed_start_is_reported_to_the_starter_and_to_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def unready(me: actors.Me[str]) -> None:
        raise Boom("no port")

    async with actors.open_supervisor() as supervisor:
        with pytest.raises(actors.StartFailed, match="'unready-1' did not become ready") as caught:
            await supervisor.start(actors.actor(unready), restart=actors.PERMANENT)
        assert isinstance(caught.value.__cause__, Boom)
        assert supervisor.children == ()
    assert caplog.records == []


async def test_a_start_that_is_cancelled_leaves_no_actor_behind(autojump_clock: MockClock) -> None:
    cleaned: list[str] = []

    async def never(me: actors.Me[str]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with me.cleanup():
                await trio.sleep(1)
                cleaned.append("cleaned")

    async with actors.open_supervisor() as supervisor:
        with trio.move_on_after(1):
            await supervisor.start(actors.actor(never))
        assert cleaned == ["cleaned"]
        assert supervisor.children == ()


async def test_a_child_that_is_stopped_in_its_backoff_ends_at_once_and_hands_back_its_mailbox(
    autojump_clock: MockClock,
) -> None:
    intensity = actors.Intensity(5, 100.0, actors.Backoff(first=50.0, limit=50.0, jitter=0.0))
    async with actors.open_supervisor(intensity=intensity, on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), restart=actors.PERMANENT)
        await ref.tell("boom")
        await ref.tell("left")
        await wait_all_tasks_blocked()
        ref.stop("changed plans")
        exit = await ref.wait()
        assert trio.current_time() == 0
    assert (exit.kind, exit.reason) == (KIND.STOPPED, "changed plans")
    assert [letter.message for letter in exit.dead_letters] == ["left"]


async def test_a_child_that_fails_while_it_is_stopped_is_not_silent() -> None:
    async def dirty(me: actors.Me[str]) -> None:
        async for _ in me:
            pass
        raise Boom(me.name)

    with pytest.raises(actors.Escalated, match="failed while it was stopped") as caught:
        async with actors.open_supervisor() as supervisor:
            for name in "ab":
                await supervisor.start(actors.actor(dirty), name=name, restart=actors.TRANSIENT)
    (other,) = map(str, caught.value.others)
    assert {caught.value.child, other} == {"a", "b"}
    assert any(f"{other!r}" in note for note in caught.value.__notes__)


async def test_an_exception_of_the_block_comes_out_as_itself_after_an_ordered_stop() -> None:
    log: list[str] = []
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with actors.open_supervisor(strategy=actors.REST_FOR_ONE) as supervisor:
            for name in "ab":
                await supervisor.start(actors.actor(named, log), name=name)
            raise error
    assert caught.value is error
    assert log == ["a+", "b+", "b-", "a-"]


async def test_an_exception_group_of_the_block_comes_out_as_itself() -> None:
    group = ExceptionGroup("mine", [KeyError(1), ValueError(2)])
    with pytest.raises(ExceptionGroup) as caught:
        async with actors.open_supervisor():
            raise group
    assert caught.value is group


async def test_what_the_block_raises_when_it_is_cancelled_by_an_escalation_is_kept() -> None:
    with pytest.raises(actors.Escalated) as caught:
        async with actors.open_supervisor(intensity=actors.Intensity(restarts=0)) as supervisor:
            ref = await supervisor.start(actors.actor(keep, []), restart=actors.PERMANENT)
            await ref.tell("boom")
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("in the block")
    assert isinstance(caught.value.cause, Boom)
    assert [type(other) for other in caught.value.others] == [KeyError]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_from_the_keyboard_in_an_actor_ends_everything(kind: type[BaseException]) -> None:
    async def interrupted(me: actors.Me[str]) -> None:
        async for _ in me:
            raise kind("^C")

    with pytest.raises(kind):
        async with actors.open_supervisor() as supervisor:
            other = await supervisor.start(actors.actor(keep, []))
            ref = await supervisor.start(actors.actor(interrupted), restart=actors.PERMANENT)
            await ref.tell("go")
            await trio.sleep_forever()
    assert other.exit is not None
    assert other.exit.kind is KIND.CANCELLED
    assert ref.exit is not None
    assert isinstance(ref.exit.cause, kind)


async def test_a_cancellation_from_outside_cancels_the_children_and_passes_on() -> None:
    with trio.CancelScope() as scope:
        async with actors.open_supervisor() as supervisor:
            ref = await supervisor.start(actors.actor(keep, []), restart=actors.PERMANENT)
            await ref.tell("hang")
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert ref.exit is not None
    assert ref.exit.kind is KIND.CANCELLED
    assert [letter.message for letter in ref.exit.dead_letters] == ["hang"]


async def test_a_failure_during_a_start_that_is_cancelled_is_not_lost() -> None:
    async def dirty(me: actors.Me[str]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("in the cleanup")

    async with actors.open_supervisor() as supervisor:
        with trio.CancelScope() as scope, pytest.raises(actors.StartFailed) as caught:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_when_blocked, scope)
                try:
                    await supervisor.start(actors.actor(dirty))
                except actors.StartFailed as failed:
                    error = failed
            raise error
    assert isinstance(caught.value.cause, Boom)


async def cancel_when_blocked(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_the_failure_of_a_temporary_child_is_logged_unless_somebody_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with actors.open_supervisor() as supervisor:
        with caplog.at_level(logging.ERROR, logger="actors"):
            unseen = await supervisor.start(actors.actor(keep, []), name="unseen")
            await unseen.tell("boom")
            await unseen.wait()
            watched = await supervisor.start(actors.actor(keep, []), name="watched")
            probe: Probe[Any] = await Probe.start(supervisor)
            probe.watch(watched)
            await watched.tell("boom")
            await probe.expect(actors.Exit, within=30)
    assert [record.getMessage() for record in caplog.records] == [
        "actor 'unseen' of supervisor 'supervisor' failed"
    ]


async def test_on_failure_sees_every_failure_of_a_child_that_was_ready() -> None:
    seen: list[tuple[str, str]] = []
    async with actors.open_supervisor(
        on_failure=lambda ref, exit: seen.append((ref.name, exit.describe()))
    ) as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), name="a", restart=actors.TRANSIENT)
        for _ in range(2):
            await ref.tell("boom")
            await wait_all_tasks_blocked()
    assert seen == [("a", "failed: Boom('told to')")] * 2
