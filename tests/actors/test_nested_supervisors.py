"""Supervisors in actors of other supervisors."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from tests.support.sample_actors import Boom, keep, named

KIND = actors.ExitKind


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
            second.stop("it is not needed any more")
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
