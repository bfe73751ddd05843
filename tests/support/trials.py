"""Sessions that are disturbed at one step each: cancelled by their caller, or asked to end by optio.

Many trials share one Trio run under one seeded schedule, which costs half as much as a run for each. A step is one
step of any task of the trial's session, those of user code included: a context variable tells whose it is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import trio
import trio.testing

from actors.testing import run_seeded
from optio_agents import get_protocol, run_log_protocol_session
from optio_agents.protocol.session import SessionFailed, SessionOptions, SessionOutcome
from optio_agents.session.events import Ended, SessionEvent
from tests.support.descriptors import described_descriptors
from tests.support.session import MemoryHost, RecordingCtx

Way = Literal["caller", "optio"]

SIDE_BY_SIDE = 16
"""Trials in one Trio run."""

HANG = 10_000.0
"""Virtual seconds after which a trial is taken to hang."""

PROTOCOL = get_protocol()

_trial: ContextVar[Trial | None] = ContextVar("trial", default=None)


@dataclass
class World:
    """Everything that one trial's session runs with, and what it left there."""

    host: MemoryHost = field(default_factory=MemoryHost)
    ctx: RecordingCtx = field(default_factory=RecordingCtx)
    sent: list[str] = field(default_factory=list)
    events: list[SessionEvent] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    """Names of the user code that was started, in order."""
    release: trio.Event = field(default_factory=trio.Event)
    """Set once the session is over: lets go of user code that ignores its cancellation."""
    calls_at_end: int | None = None
    """How many calls the ctx had got when the session said that it had ended."""

    def observe(self, event: SessionEvent) -> None:
        self.events.append(event)
        if isinstance(event, Ended):
            self.calls_at_end = len(self.ctx.calls)

    async def sender(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(text)

    async def after_execute(self, hook_ctx: object) -> None:
        self.begun.append("after_execute")
        await trio.lowlevel.checkpoint()


Scenario = Callable[[World], dict[str, Any]]
"""Makes the arguments of `run_log_protocol_session` for a fresh world."""


class Trial:
    """One session, disturbed just before its `step`-th step.

    Args:
        from_start: count from the first step of all; else from the first one after user code was begun.
    """

    def __init__(self, scenario: Scenario, way: Way, step: int, *, from_start: bool) -> None:
        self.way = way
        self.from_start = from_start
        self.step = step
        self.world = World()
        self.arguments = {
            "protocol": PROTOCOL,
            "after_execute": self.world.after_execute,
            "options": SessionOptions(on_event=self.world.observe),
            **scenario(self.world),
        }
        self.fired = False
        self.begun_when_fired: tuple[str, ...] = ()
        self.steps = 0
        self.scope = trio.CancelScope()
        self.returned: SessionOutcome | None = None
        self.raised: BaseException | None = None

    async def run(self) -> None:
        _trial.set(self)
        try:
            with self.scope:
                self.returned = await run_log_protocol_session(
                    self.world.host, self.world.ctx, **self.arguments
                )
        except Exception as error:
            self.raised = error
        finally:
            _trial.set(None)
            self.world.release.set()

    def before_step(self) -> None:
        if not (self.from_start or self.world.begun):
            return
        self.steps += 1
        if self.steps == self.step:
            self.fired = True
            self.begun_when_fired = tuple(self.world.begun)
            if self.way == "caller":
                self.scope.cancel("every step")
            else:
                self.world.ctx.cancellation_flag.set()

    @property
    def outcome(self) -> SessionOutcome:
        """The one outcome, which the observer has been told of last."""
        ends = [event for event in self.world.events if isinstance(event, Ended)]
        assert len(ends) == 1, f"{len(ends)} outcomes"
        assert self.world.events[-1] is ends[0]
        outcome = ends[0].outcome
        if self.returned is not None:
            assert self.returned == outcome
        if isinstance(self.raised, SessionFailed):
            assert self.raised.outcome == outcome
        return outcome


class _StepCounter(trio.abc.Instrument):
    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        trial = task.context.get(_trial)
        if trial is not None:
            trial.before_step()


def run_trials(
    scenario: Scenario, way: Way, seed: int, steps: range, *, from_start: bool = True
) -> list[Trial]:
    """Run one trial for each of `steps` under the schedule `seed`; nothing may be left of any of them."""
    trials = [Trial(scenario, way, step, from_start=from_start) for step in steps]
    for first in range(0, len(trials), SIDE_BY_SIDE):
        _run_side_by_side(trials[first : first + SIDE_BY_SIDE], seed)
    return trials


def _run_side_by_side(trials: list[Trial], seed: int) -> None:
    async def main() -> None:
        before = tasks()
        with trio.fail_after(HANG):
            async with trio.open_nursery() as nursery:
                for trial in trials:
                    nursery.start_soon(trial.run)
        await trio.testing.wait_all_tasks_blocked()  # user code that has just been let go
        assert tasks() == before, "a task is left"

    with same_descriptors(), _no_collections():
        run_seeded(main, seed=seed, instruments=[_StepCounter()])


def tasks() -> list[str]:
    """The names of all tasks of the present run."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    found, todo = [], [root]
    while todo:
        task = todo.pop()
        found.append(task.name)
        todo += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return sorted(found)


@contextmanager
def same_descriptors() -> Iterator[None]:
    """Assert that no descriptor is open after the block that was not before it.

    One that the garbage collector closes meanwhile, of an earlier test, does not hide a new one.
    """
    before = described_descriptors()
    yield
    left = described_descriptors() - before
    assert not left, f"descriptors are left open: {sorted(left)}"


@contextmanager
def _no_collections() -> Iterator[None]:
    """No pass of the garbage collector in the block: thousands of short runs would pay for one each."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
