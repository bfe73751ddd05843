"""A session that is cancelled at every single step, by its caller or by optio, under many schedules.

A fault that depends on stopping in the middle appears at one of these points. A desk run takes every
step of the first schedule and some of each other one; where `CI` is set, every step of all of them.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import pytest
import trio

from optio_agents import HookContext, get_protocol
from optio_agents.protocol.session import Ending
from tests.support.session import MemoryHost
from tests.support.trials import Scenario, Trial, Way, World, run_trials

SEEDS = 50
EVERYTHING = bool(os.environ.get("CI"))
WORKERS = os.cpu_count() or 1
STRIDE = 1 if EVERYTHING else 23
"""At a desk, the schedules after the first are tried at every so many steps, beginning at another one each."""


def plain(world: World) -> dict[str, Any]:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.write("STATUS: 50% half", "text", "DONE: all")
        await trio.sleep_forever()

    return {"body": body}


def deliverables_in_flight(world: World) -> dict[str, Any]:
    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str | None:
        await trio.lowlevel.checkpoint()
        return None if path != "b" else "not quite"

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        for name in "abc":
            host.deliver(name, name)
        host.write("DELIVERABLE: ../d", "DONE")
        await trio.sleep_forever()

    return {"body": body, "on_deliverable": on_deliverable, "agent_sender": world.sender}


def a_deliverable_redone(world: World) -> dict[str, Any]:
    heard = trio.Event()

    async def sender(text: str) -> None:
        await world.sender(text)
        heard.set()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str | None:
        await trio.lowlevel.checkpoint()
        return "redo it" if text == "bad" else "OK"

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.deliver("a", "bad")
        await heard.wait()
        host.deliver("a", "good")
        host.write("DONE")
        await trio.sleep_forever()

    return {"body": body, "on_deliverable": on_deliverable, "agent_sender": sender}


def a_stuck_callback(world: World) -> dict[str, Any]:
    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        await trio.sleep_forever()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.deliver("a", "a")
        host.deliver("b", "b")
        host.write("DONE")
        await trio.sleep_forever()

    return {"body": body, "on_deliverable": on_deliverable, "agent_sender": world.sender}


def a_stuck_sender(world: World) -> dict[str, Any]:
    async def sender(text: str) -> None:
        await trio.sleep_forever()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.deliver("a", "a")
        host.deliver("b", "b")
        host.write("DONE")
        await trio.sleep_forever()

    return {"body": body, "agent_sender": sender}


def a_body_that_ignores_cancellation(world: World) -> dict[str, Any]:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.deliver("a", "a")
        host.write("DONE")
        with trio.CancelScope(shield=True):
            await world.release.wait()

    return {"body": body, "agent_sender": world.sender}


def set_up_in_progress(world: World) -> dict[str, Any]:
    async def prepare(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("prepare")
        await trio.lowlevel.checkpoint()
        await trio.sleep(1)

    async def before_execute(hook_ctx: HookContext) -> None:
        world.begun.append("before_execute")
        await trio.lowlevel.checkpoint()
        await trio.sleep(1)
        world.begun.append("before_execute's end")

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.write("DONE")
        await trio.sleep_forever()

    return {
        "body": body,
        "prepare": prepare,
        "before_execute": before_execute,
        "protocol": get_protocol(browser="redirect"),
    }


def a_body_that_returns(world: World) -> dict[str, Any]:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.deliver("a", "a")
        host.write("DONE")

    return {"body": body, "agent_sender": world.sender}


def an_error_with_everything_before_it(world: World) -> dict[str, Any]:
    async def on_caller_message(hook_ctx: HookContext, keyword: str, data: Any) -> str:
        await trio.lowlevel.checkpoint()
        return "an answer"

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        world.begun.append("body")
        host.deliver("a", "a")
        host.write("CALLER_MESSAGE: k 1", "BROWSER: http://x", "ATTENTION: look", "ERROR: enough")
        await trio.sleep_forever()

    return {
        "body": body,
        "on_caller_message": on_caller_message,
        "agent_sender": world.sender,
        "protocol": get_protocol(browser="redirect", caller_messages=True),
    }


UNDISTURBED: dict[Scenario, Ending] = {
    plain: Ending.DONE,
    deliverables_in_flight: Ending.DONE,
    a_deliverable_redone: Ending.DONE,
    a_stuck_callback: Ending.FAILED,
    a_stuck_sender: Ending.FAILED,
    a_body_that_ignores_cancellation: Ending.DONE,
    set_up_in_progress: Ending.DONE,
    a_body_that_returns: Ending.DONE,
    an_error_with_everything_before_it: Ending.ERROR,
}
"""How each scenario ends without a disturbance."""


@dataclass
class Tried:
    """What was tried, to be printed."""

    points: int = 0
    longest: int = 0
    endings: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tried) -> None:
        self.points += other.points
        self.longest = max(self.longest, other.longest)
        self.endings += other.endings


@pytest.fixture(scope="module")
def workers() -> Iterator[Executor | None]:
    """One process for each core, where there is much to do."""
    if not EVERYTHING:
        yield None
        return
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize("way", ["caller", "optio"])
@pytest.mark.parametrize("scenario", UNDISTURBED, ids=lambda scenario: scenario.__name__)
def test_a_session_that_is_cancelled_at_any_step_ends_in_order(
    scenario: Scenario, way: Way, workers: Executor | None, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = Tried()
    if workers is None:
        tried.add(explore(scenario, way, range(SEEDS)))
    else:
        shares = [range(first, SEEDS, WORKERS) for first in range(WORKERS)]
        for future in [workers.submit(explore, scenario, way, seeds) for seeds in shares]:
            tried.add(future.result())
    with capsys.disabled():
        print(f"\n{scenario.__name__}, {way}: {tried.points} points under {SEEDS} schedules,", end=" ")
        print(f"the longest of {tried.longest} steps, {dict(tried.endings)}")


def explore(scenario: Scenario, way: Way, seeds: range) -> Tried:
    """Try the steps of some schedules, each until it is not reached any more."""
    tried = Tried()
    for seed in seeds:
        stride = STRIDE if seed else 1
        step = 1 + (seed * 7) % stride
        trying = True
        while trying:
            more = max(2, math.ceil((tried.longest + 1 - step) / stride))
            steps = range(step, step + more * stride, stride)
            # Up to the start of the body all scenarios are the same: that part is tried with one of them.
            for trial in run_trials(scenario, way, seed, steps, from_start=scenario is set_up_in_progress):
                try:
                    check(trial, scenario)
                except BaseException as error:
                    error.add_note(f"{scenario.__name__}, {way}, seed {seed}, step {trial.step}")
                    raise
                if trial.fired:
                    tried.add(Tried(1, trial.step, Counter([trial.outcome.ending.value])))
                trying = trial.fired
            step += more * stride
    return tried


def check(trial: Trial, scenario: Scenario) -> None:
    """What holds at each point."""
    world, outcome = trial.world, trial.outcome
    usual = UNDISTURBED[scenario]
    # One outcome, and the caller learns it in the one way that belongs to it.
    if not trial.fired:
        assert outcome.ending is usual
    assert outcome.ending in (usual, Ending.CANCELLED)
    if outcome.ending is Ending.CANCELLED:
        assert trial.raised is None
        assert trial.scope.cancelled_caught is (trial.way == "caller")
    else:
        assert not trial.scope.cancelled_caught
        assert (trial.raised is None) is (usual is Ending.DONE)
    # Nothing is left, and nothing comes after the end.
    assert world.host.readers == 0
    assert world.host.open_deliverables == 0
    assert len(world.ctx.calls) == world.calls_at_end
    # What was begun is ended, once.
    assert world.begun.count("after_execute") == ("setup_workdir" in world.host.calls)
    # The agent is not launched once it is known that it should not be.
    if (
        trial.fired
        and "prepare" in trial.begun_when_fired
        and "before_execute's end" not in trial.begun_when_fired
    ):
        assert "body" not in world.begun
    # Each line has at most one reply, in order; each that counts as settled has exactly one.
    announced = re.findall(r"DELIVERABLE: (?:\S*/)?(\S+)", world.host.log.decode())
    replies = [text.split()[2].rstrip(":") for text in world.sent if text.startswith("System: deliverable")]
    assert replies == announced[: len(replies)]
    assert len(replies) <= len(outcome.deliverables) <= len(announced)
    if outcome.ending is Ending.DONE:
        assert len(outcome.deliverables) == len(announced)
        assert outcome.unsettled == 0
        assert outcome.abandoned == () or scenario is a_body_that_ignores_cancellation
        assert len(replies) == len(announced)
    if scenario is a_body_that_ignores_cancellation and "body" in world.begun:
        assert len(outcome.abandoned) == 1
        assert outcome.abandoned[0].startswith("body at ")
