from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from actors.testing import Probe
from tests.support.sample_actors import Boom, keep

KIND = actors.ExitKind


async def named(me: actors.Me[str], log: list[str]) -> None:
    """Say when it begins and ends; `boom` fails."""
    log.append(f"{me.name}+")
    try:
        async for message in me:
            if message == "boom":
                raise Boom(me.name)
            log.append(f"{me.name}:{message}")
    finally:
        log.append(f"{me.name}-")


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


class TestNested:
    async def test_a_nested_supervisor_that_escalates_is_run_again_with_its_children(self) -> None:
        log: list[str] = []
        async with actors.open_supervisor(name="top") as top:
            sub = await top.start_supervisor(name="sub", intensity=actors.Intensity(restarts=0))
            refs = [
                await sub.start(actors.actor(named, log), name=name, restart=actors.PERMANENT)
                for name in "ab"
            ]
            refs[0].try_tell("boom")
            refs[0].try_tell("kept")
            await wait_all_tasks_blocked()
            assert log == ["a+", "b+", "a-", "b-", "a+", "a:kept", "b+"]
            assert [ref.state for ref in refs] == [actors.State.RUNNING] * 2
        assert [ref.exit.kind for ref in refs if ref.exit is not None] == [KIND.STOPPED] * 2

    async def test_it_escalates_to_the_top_with_all_causes_in_the_chain(self) -> None:
        none = actors.Intensity(restarts=0)
        with pytest.raises(actors.Escalated) as caught:
            async with actors.open_supervisor(name="top", intensity=none) as top:
                sub = await top.start_supervisor(name="sub", intensity=none)
                ref = await sub.start(actors.actor(keep, []), name="a", restart=actors.PERMANENT)
                ref.try_tell("boom")
                ref.try_tell("left")
                await trio.sleep_forever()
        assert caught.value.child == "sub"
        assert isinstance(caught.value.cause, actors.Escalated)
        assert isinstance(caught.value.cause.cause, Boom)
        assert ref.exit is not None
        assert [letter.message for letter in ref.exit.dead_letters] == ["left"]

    async def test_it_takes_part_in_a_restart_of_all(self) -> None:
        log: list[str] = []
        async with actors.open_supervisor(
            name="top", strategy=actors.ONE_FOR_ALL, on_failure=lambda ref, exit: None
        ) as top:
            first = await top.start(actors.actor(named, log), name="first", restart=actors.PERMANENT)
            sub = await top.start_supervisor(name="sub")
            inner = await sub.start(actors.actor(named, log), name="inner", restart=actors.PERMANENT)
            await first.tell("boom")
            await wait_all_tasks_blocked()
            await inner.tell("still here")
        assert log == [
            "first+", "inner+", "first-", "inner-", "first+", "inner+", "inner:still here", "inner-", "first-",
        ]  # fmt: skip

    async def test_one_that_was_broken_off_amid_a_restart_of_all_can_restart_all_again(
        self, autojump_clock: MockClock
    ) -> None:
        """The top restarts `sub` while `sub` waits in the backoff of a round of its own."""
        log: list[str] = []
        backoff = actors.Intensity(5, 100.0, actors.Backoff(first=50.0, limit=50.0, jitter=0.0))
        async with actors.open_supervisor(
            name="top", strategy=actors.ONE_FOR_ALL, on_failure=lambda ref, exit: None
        ) as top:
            first = await top.start(actors.actor(keep, []), name="first", restart=actors.PERMANENT)
            sub = await top.start_supervisor(name="sub", strategy=actors.ONE_FOR_ALL, intensity=backoff)
            refs = [
                await sub.start(actors.actor(named, log), name=name, restart=actors.PERMANENT)
                for name in "ab"
            ]
            await refs[0].tell("boom")
            await wait_all_tasks_blocked()
            assert log == ["a+", "b+", "a-", "b-"]
            await first.tell("boom")
            await wait_all_tasks_blocked()
            assert log[4:] == ["a+", "b+"]
            await refs[1].tell("boom")
            await trio.sleep(60)
            assert log[6:] == ["b-", "a-", "a+", "b+"]

    async def test_a_child_that_is_stopped_while_it_rests_is_not_run_again(
        self, autojump_clock: MockClock
    ) -> None:
        log: list[str] = []
        waiting = actors.Intensity(3, 60.0, actors.Backoff(first=5.0, jitter=0.0))
        none = actors.Intensity(restarts=0)
        async with actors.open_supervisor(
            name="top", intensity=waiting, on_failure=lambda ref, exit: None
        ) as top:
            sub = await top.start_supervisor(name="sub", intensity=none)
            first, second = [
                await sub.start(actors.actor(named, log), name=name, restart=actors.PERMANENT)
                for name in "ab"
            ]
            await first.tell("boom")
            await wait_all_tasks_blocked()
            second.stop("nobody wants it any more")
            await trio.sleep(60)
            assert (await second.wait()).kind is KIND.STOPPED
            assert log.count("a+") == 2
            assert log.count("b+") == 1
            assert first.exit is None

    async def test_it_can_be_stopped_by_its_ref_and_then_starts_nothing(self) -> None:
        async with actors.open_supervisor(name="top") as top:
            sub = await top.start_supervisor(name="sub")
            child = await sub.start(actors.actor(keep, []))
            assert sub.ref is not None
            sub.ref.stop()
            assert (await sub.ref.wait()).kind is KIND.STOPPED
            assert child.exit is not None
            with pytest.raises(actors.SupervisorClosed):
                await sub.start(actors.actor(keep, []))
            assert top.children == ()
