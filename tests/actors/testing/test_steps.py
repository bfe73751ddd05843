"""The step tests themselves: they find a planted bug, and say where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

import actors
from actors.testing import InjectedFault, cancel_at_every_step, fail_at_every_step

Run = Callable[[], Awaitable[object]]


def test_every_step_of_every_schedule_is_tried_once() -> None:
    cancelled_after: list[int] = []

    def build() -> tuple[Run, Callable[[], None]]:
        steps = [0]

        async def run() -> None:
            for _ in range(5):
                steps[0] += 1
                await trio.lowlevel.checkpoint()

        return run, lambda: cancelled_after.append(steps[0])

    report = cancel_at_every_step(build, seeds=range(3))
    assert report.points == 3 * 6
    assert sorted(set(cancelled_after)) == [0, 1, 2, 3, 4, 5]
    assert str(report) == "18 points under 3 schedules, the longest of 6 steps"


def test_a_stride_tries_other_steps_under_other_seeds() -> None:
    tried: list[tuple[int, int]] = []

    def build() -> tuple[Run, Callable[[], None]]:
        steps = [0]

        async def run() -> None:
            for _ in range(11):
                steps[0] += 1
                await trio.lowlevel.checkpoint()

        return run, lambda: tried.append((len(tried), steps[0]))

    report = cancel_at_every_step(build, seeds=range(5), stride=4)
    assert report.points == 12 + 4 * 3
    assert {steps for _, steps in tried[13:]} >= {0, 1, 2, 3}


def test_a_leak_at_one_step_only_is_found_and_the_step_named() -> None:
    def build() -> tuple[Run, Callable[[], None]]:
        held: list[str] = []

        async def run() -> None:
            held.append("lock")
            await trio.lowlevel.checkpoint()  # cancelled here, the lock stays
            held.clear()
            await trio.lowlevel.checkpoint()

        def check() -> None:
            assert not held, "the lock was not released"

        return run, check

    with pytest.raises(AssertionError, match="the lock was not released") as caught:
        cancel_at_every_step(build, seeds=[7])
    assert "disturbed at step 2 of seed 7" in caught.value.__notes__


def test_a_scenario_that_hangs_is_reported() -> None:
    def build() -> tuple[Run, Callable[[], None]]:
        return trio.sleep_forever, lambda: None

    with pytest.raises(trio.TooSlowError):
        cancel_at_every_step(build, seeds=[0])


def test_actors_are_made_to_raise_at_each_of_their_own_steps() -> None:
    causes: list[BaseException | None] = []

    def build() -> tuple[Run, Callable[[], None]]:
        refs: list[actors.Ref[int]] = []

        async def worker(me: actors.Me[int]) -> None:
            me.ready()
            async for _ in me:
                await trio.lowlevel.checkpoint()

        async def run() -> None:
            async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
                refs.append(await supervisor.start(actors.actor(worker), name="worker"))
                await refs[0].tell(1)

        def check() -> None:
            assert refs[0].exit is not None
            causes.append(refs[0].exit.cause)

        return run, check

    report = fail_at_every_step(build, seeds=range(2), where=lambda name: name == "worker")
    assert report.points >= 4
    assert sum(isinstance(cause, InjectedFault) for cause in causes) == report.points
