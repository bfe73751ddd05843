"""Cancel, or fail, at every single step of a scenario, under many schedules.

A scenario is run repeatedly. In run k it is cancelled (or one of its actors is made to raise) just before its k-th task
step, until there is no k-th step any more. A fault that depends on stopping in the middle appears at one of these
points; the seed and the step identify it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import trio

from actors.current import current_actor
from actors.testing.schedule import require_faults, run_seeded, throw_into

HANG = 100_000.0
"""Seconds of virtual time after which a scenario is taken to hang."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run was disturbed: `step` task steps after the start of the schedule `seed`."""

    seed: int
    step: int


@dataclass(slots=True)
class StepReport:
    """The extent of a test. `points` counts disturbed runs, `longest` is the most steps of a run."""

    points: int = 0
    seeds: int = 0
    longest: int = 0

    def __str__(self) -> str:
        return f"{self.points} points under {self.seeds} schedules, the longest of {self.longest} steps"


class InjectedFault(Exception):  # noqa: N818
    """The exception that `fail_at_every_step` makes actors raise."""


Scenario = tuple[Callable[[], Awaitable[object]], Callable[[], None]]
"""What to run and disturb, and what to check, after the run is over, by assertions."""


def cancel_at_every_step(
    build: Callable[[], Scenario], *, seeds: Iterable[int] = range(50), stride: int = 1
) -> StepReport:
    """Run the scenario that `build` makes afresh for each run, cancelled at every step.

    Args:
        build: Returns the coroutine function to run and the function that checks the invariants afterwards.
        seeds: The schedules.
        stride: Under the schedules after the first, try only every `stride`-th step (not the same ones each
        time).

    Raises:
        BaseException: what the scenario or its check raised, with a note that says at which seed and step.
    """
    return _at_every_step(build, seeds, stride, _below_root, lambda scope, _: scope.cancel("every step"))


def fail_at_every_step(
    build: Callable[[], Scenario],
    *,
    seeds: Iterable[int] = range(50),
    stride: int = 1,
    where: Callable[[str], bool] = lambda name: True,
) -> StepReport:
    """Like `cancel_at_every_step`, but an actor raises `InjectedFault` at every step of its function.

    `where` chooses among the actors by name. Only the steps of actors' own tasks count.

    Raises:
        NoFaults: this version of Trio does not let a test make a task raise.
        BaseException: as `cancel_at_every_step` does.
    """
    require_faults()

    def chosen(_: trio.lowlevel.Task, task: trio.lowlevel.Task) -> bool:
        cell = current_actor(task.context)
        return cell is not None and cell.task is task and where(cell.name)

    def throw(_: trio.CancelScope, task: trio.lowlevel.Task) -> object:
        return throw_into(task, InjectedFault("every step"))

    return _at_every_step(build, seeds, stride, chosen, throw)


def _at_every_step(
    build: Callable[[], Scenario],
    seeds: Iterable[int],
    stride: int,
    counts: Callable[[trio.lowlevel.Task, trio.lowlevel.Task], bool],
    act: Callable[[trio.CancelScope, trio.lowlevel.Task], object],
) -> StepReport:
    report = StepReport()
    for seed in seeds:
        every = 1 if report.seeds == 0 else stride
        report.seeds += 1
        step = 1 + seed % every
        while _run_once(build, Point(seed, step), counts, act):
            report.points += 1
            report.longest = max(report.longest, step)
            step += every
    return report


def _run_once(
    build: Callable[[], Scenario],
    point: Point,
    counts: Callable[[trio.lowlevel.Task, trio.lowlevel.Task], bool],
    act: Callable[[trio.CancelScope, trio.lowlevel.Task], object],
) -> bool:
    """One run. Returns whether it was long enough to have the step."""
    run, check = build()
    disturber = _Disturber(point.step, counts, act)

    async def main() -> None:
        with trio.fail_after(HANG), trio.CancelScope() as scope:
            disturber.arm(scope, trio.lowlevel.current_task())
            await trio.lowlevel.checkpoint()
            await run()
        disturber.disarm()

    try:
        run_seeded(main, seed=point.seed, instruments=[disturber])
        check()
    except BaseException as error:
        error.add_note(f"disturbed at step {point.step} of seed {point.seed}")
        raise
    return disturber.fired


class _Disturber(trio.abc.Instrument):
    """Counts the steps of the tasks that count, and acts just before one of them."""

    def __init__(
        self,
        step: int,
        counts: Callable[[trio.lowlevel.Task, trio.lowlevel.Task], bool],
        act: Callable[[trio.CancelScope, trio.lowlevel.Task], object],
    ) -> None:
        self._left = step
        self._counts = counts
        self._act = act
        self._scope: trio.CancelScope | None = None
        self._root: trio.lowlevel.Task | None = None
        self.fired = False

    def arm(self, scope: trio.CancelScope, root: trio.lowlevel.Task) -> None:
        self._scope, self._root = scope, root

    def disarm(self) -> None:
        self._scope = self._root = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._scope is None or self._root is None or self.fired or not self._counts(self._root, task):
            return
        self._left -= 1
        if self._left == 0:
            self.fired = True
            self._act(self._scope, task)


def _below_root(root: trio.lowlevel.Task, task: trio.lowlevel.Task) -> bool:
    """Whether `task` is `root` or descends from it."""
    while task is not root:
        if task.parent_nursery is None:
            return False
        task = task.parent_nursery.parent_task
    return True
