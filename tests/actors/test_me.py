from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from actors.testing import Probe
from tests.support.sample_actors import Boom, gated, keep

KIND = actors.ExitKind


class TestWatch:
    @pytest.mark.parametrize(
        ("end", "kind"),
        [
            (lambda ref: ref.try_tell("quit"), KIND.FINISHED),
            (lambda ref: ref.stop("s"), KIND.STOPPED),
            (lambda ref: ref.try_tell("boom"), KIND.FAILED),
            (lambda ref: ref.cancel("c"), KIND.CANCELLED),
        ],
    )
    async def test_a_watcher_is_told_how_the_other_ended(self, end: Any, kind: actors.ExitKind) -> None:
        async with actors.open_supervisor() as supervisor:
            probe: Probe[Any] = await Probe.start(supervisor)
            ref = await supervisor.start(actors.actor(keep, []), name="watched")
            probe.watch(ref)
            end(ref)
            exit = await probe.expect(actors.Exit, within=30)
            assert (exit.name, exit.kind) == ("watched", kind)

    async def test_who_watches_an_actor_that_has_ended_is_told_at_once(self) -> None:
        async with actors.open_supervisor() as supervisor:
            probe: Probe[Any] = await Probe.start(supervisor)
            ref = await supervisor.start(actors.actor(keep, []))
            ref.stop()
            await ref.wait()
            probe.watch(ref)
            await probe.expect(actors.Exit, within=30)

    async def test_a_restart_is_not_an_end(self, autojump_clock: MockClock) -> None:
        async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
            probe: Probe[Any] = await Probe.start(supervisor)
            ref = await supervisor.start(actors.actor(keep, []), restart=actors.PERMANENT)
            probe.watch(ref)
            await ref.tell("boom")
            await probe.expect_nothing(seconds=60)

    async def test_unwatch_takes_back_a_notice_that_was_not_received_yet(self) -> None:
        seen: list[Any] = []
        gate = trio.Event()

        async def fickle(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
            me.watch(other, lambda exit: exit)
            me.ready()
            await gate.wait()
            me.unwatch(other)
            async for message in me:
                seen.append(message)

        async with actors.open_supervisor() as supervisor:
            other = await supervisor.start(actors.actor(keep, []))
            await supervisor.start(actors.actor(fickle, other))
            other.stop()
            await other.wait()
            gate.set()
        assert seen == []

    async def test_a_watch_belongs_to_one_run_and_is_not_told_twice(self) -> None:
        exits: list[actors.Exit] = []

        async def watcher(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
            me.watch(other, lambda exit: exit)
            async for message in me:
                if message == "boom":
                    raise Boom
                exits.append(message)

        async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
            other = await supervisor.start(actors.actor(keep, []))
            ref = await supervisor.start(actors.actor(watcher, other), restart=actors.PERMANENT)
            ref.try_tell("boom")
            await wait_all_tasks_blocked()
            assert other.statistics().watchers == 1
            other.stop()
            await wait_all_tasks_blocked()
        assert len(exits) == 1

    async def test_a_watch_is_gone_when_an_interrupt_begins_the_function_anew(self) -> None:
        log: list[Any] = []
        runs: list[int] = []

        async def watcher(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
            runs.append(1)
            if len(runs) == 1:
                me.watch(other, lambda exit: exit)
            await keep(me, log)

        async with actors.open_supervisor() as supervisor:
            other = await supervisor.start(actors.actor(keep, []))
            ref = await supervisor.start(actors.actor(watcher, other))
            await ref.tell("hang")
            await wait_all_tasks_blocked()
            assert ref.interrupt()
            await wait_all_tasks_blocked()
            assert other.statistics().watchers == 0
            other.stop()
            await other.wait()
        assert log == ["hang"]
        assert len(runs) == 2

    async def test_what_a_watchers_own_function_raises_is_the_watchers_failure(self) -> None:
        async def watcher(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
            me.watch(other, lambda exit: 1 / 0)
            async for _ in me:
                pass

        async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
            other = await supervisor.start(actors.actor(keep, []))
            ref = await supervisor.start(actors.actor(watcher, other))
            other.stop()
            assert isinstance((await ref.wait()).cause, ZeroDivisionError)
            assert (await other.wait()).kind is KIND.STOPPED


class TestTimers:
    async def test_a_timer_delivers_its_message_in_time(self, autojump_clock: MockClock) -> None:
        times: list[tuple[str, float]] = []

        async def timed(me: actors.Me[str]) -> None:
            me.timers.start("b", 2, "second")
            me.timers.start("a", 1, "first")
            async for message in me:
                times.append((message, trio.current_time()))

        async with actors.open_supervisor() as supervisor:
            await supervisor.start(actors.actor(timed))
            await trio.sleep(10)
        assert times == [("first", 1.0), ("second", 2.0)]

    async def test_a_key_has_one_timer_and_a_cancelled_one_is_never_heard_of(
        self, autojump_clock: MockClock
    ) -> None:
        log: list[str] = []

        async def timed(me: actors.Me[str]) -> None:
            me.timers.start("key", 1, "replaced")
            me.timers.start("key", 2, "kept")
            me.timers.start("other", 1, "cancelled")
            me.ready()
            await trio.sleep(5)  # all are due by now, none has been received
            assert me.timers.cancel("other")
            assert not me.timers.cancel("other")
            async for message in me:
                log.append(message)

        async with actors.open_supervisor() as supervisor:
            await supervisor.start(actors.actor(timed))
            await trio.sleep(10)
        assert log == ["kept"]

    async def test_a_due_timer_overtakes_queued_messages(self, autojump_clock: MockClock) -> None:
        log: list[Any] = []
        gate = trio.Event()

        async def timed(me: actors.Me[Any]) -> None:
            me.timers.start("t", 1, "tick")
            await gated(me, gate, log)

        async with actors.open_supervisor() as supervisor:
            ref = await supervisor.start(actors.actor(timed))
            for number in range(50):
                await ref.tell(number)
            await trio.sleep(2)
            gate.set()
            await wait_all_tasks_blocked()
        assert log == ["tick", *range(50)]

    async def test_a_repeated_timer_ticks_until_it_is_cancelled(self, autojump_clock: MockClock) -> None:
        times: list[float] = []

        async def timed(me: actors.Me[str]) -> None:
            me.timers.start("t", 2, "tick", every=True)
            async for _ in me:
                times.append(trio.current_time())
                if len(times) == 3:
                    me.timers.cancel("t")

        async with actors.open_supervisor() as supervisor:
            ref = await supervisor.start(actors.actor(timed))
            await trio.sleep(20)
            assert ref.statistics().timers == 0
        assert times == [2.0, 4.0, 6.0]

    async def test_timers_are_gone_with_the_run_that_started_them(self, autojump_clock: MockClock) -> None:
        runs: list[int] = []

        async def timed(me: actors.Me[str]) -> None:
            runs.append(1)
            if len(runs) == 1:
                me.timers.start("t", 5, "tick")
            async for message in me:
                assert message == "boom"
                raise Boom

        async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
            ref = await supervisor.start(actors.actor(timed), restart=actors.PERMANENT)
            await ref.tell("boom")
            await trio.sleep(10)
        assert len(runs) == 2

    @pytest.mark.parametrize("seconds", [-1, float("nan")])
    async def test_a_timer_needs_a_time(self, seconds: float) -> None:
        async def timed(me: actors.Me[str]) -> None:
            me.timers.start("t", seconds, "tick")

        async with actors.open_supervisor() as supervisor:
            with pytest.raises(actors.StartFailed) as caught:
                await supervisor.start(actors.actor(timed))
        assert isinstance(caught.value.cause, ValueError)


async def test_serve_keeps_the_functions_state_over_an_interrupt() -> None:
    totals: list[int] = []

    async def adder(me: actors.Me[int]) -> None:
        total = 0

        async def add(number: int) -> None:
            nonlocal total
            if number < 0:
                await trio.sleep_forever()
            total += number

        await me.serve(add)
        totals.append(total)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(adder))
        for number in (1, 2, -1, 3):
            ref.try_tell(number)
        await wait_all_tasks_blocked()
        ref.interrupt()
    assert totals == [6]


async def test_cleanup_survives_the_cancellation_for_as_long_as_it_may(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def tidy(me: actors.Me[str], seconds: float) -> None:
        try:
            async for _ in me:
                pass
        finally:
            with me.cleanup(2.0):
                await trio.sleep(seconds)
                log.append(f"slept {seconds}")

    async with actors.open_supervisor() as supervisor:
        for seconds in (1.0, 3.0):
            ref = await supervisor.start(actors.actor(tidy, seconds))
            ref.cancel()
            await ref.wait()
    assert log == ["slept 1.0"]
    assert trio.current_time() == 3.0


async def test_an_actor_that_does_not_receive_can_wait_for_its_stop() -> None:
    log: list[str] = []

    async def worker(me: actors.Me[str]) -> None:
        me.ready()
        await me.wait_stopping()
        log.append("told to stop")

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(worker))
    assert log == ["told to stop"]
    assert ref.exit is not None
    assert ref.exit.kind is KIND.STOPPED


@pytest.mark.parametrize("nursery", [False, True])
async def test_the_end_of_the_mailbox_may_pass_through_an_actor_that_receives_by_hand(nursery: bool) -> None:
    async def by_hand(me: actors.Me[str]) -> None:
        while True:
            await me.receive()

    async def in_a_nursery(me: actors.Me[str]) -> None:
        async with trio.open_nursery() as helpers:
            helpers.start_soon(trio.sleep_forever)
            await by_hand(me)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(
            actors.actor(in_a_nursery if nursery else by_hand), restart=actors.PERMANENT
        )
        await ref.tell("one")
    assert ref.exit is not None
    assert (ref.exit.kind, ref.exit.dead_letters) == (KIND.STOPPED, ())


async def test_an_actor_can_be_interrupted_again_after_a_cleanup_that_raised(
    autojump_clock: MockClock,
) -> None:
    handled: list[str] = []

    async def worker(me: actors.Me[str]) -> None:
        async def handle(message: str) -> None:
            try:
                if message != "quick":
                    await trio.sleep(1000)
                handled.append(message)
            finally:
                if message == "bad":
                    raise ValueError("the cleanup failed")

        await me.serve(handle)

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(worker), restart=actors.TRANSIENT)
        await ref.tell("bad")
        await trio.sleep(1)
        assert ref.interrupt()
        await trio.sleep(1)
        await ref.tell("long")
        await ref.tell("quick")
        await trio.sleep(1)
        assert ref.interrupt()
        await trio.sleep(1)
        assert handled == ["quick"]
        assert ref.statistics().interrupts == 2
