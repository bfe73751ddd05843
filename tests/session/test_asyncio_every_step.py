"""A whole session awaited under asyncio, on a local host, that is disturbed at every single step of the loop.

Its caller cancels the awaiting task, optio sets the ctx's flag, or both: under some schedules of Trio's, with Trio's
steps in bursts, as they are, and with a turn of the loop after each of them.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from unittest.mock import Mock

import optio_host.host
import pytest
import trio

from actors.testing import no_leaks
from actors.testing.schedule import _seeded
from optio_agents.protocol import scanner
from optio_agents.protocol.session import Ending
from optio_agents.session import work_queue as queue
from tests.support import public_trio
from tests.support.asyncio_trials import (
    CALLER,
    OPTIO,
    WAYS,
    EveryStepLoop,
    Trial,
    Way,
    World,
    disturbed,
)
from tests.support.session import MemoryHost
from tests.support.whole_session import check, whole_session

SEEDS = 3
STRIDE = 1 if os.environ.get("CI") else 11
"""At a desk, schedules after the first are tried at every so many steps, beginning at another one each."""


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("steps", ["in bursts", "one by one"])
def test_a_session_that_ends_well(
    way: Way, steps: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if steps == "one by one":
        if public_trio.IS_WANTED:
            pytest.skip("the public driver makes each step by itself anyway")
        monkeypatch.setattr("optio_agents.bridge.driver.BURST", 0.0)

    async def run(step: int) -> Trial:
        world = local_world(tmp_path)
        trial = await disturbed(world, whole_session(world, "DONE"), way, step)
        assert not trio.lowlevel.in_trio_run()
        return trial

    disturb_at_every_step(run, Ending.DONE)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_session_that_fails(way: Way, tmp_path: Path) -> None:
    async def run(step: int) -> Trial:
        world = local_world(tmp_path)
        return await disturbed(world, whole_session(world, "ERROR: enough"), way, step)

    disturb_at_every_step(run, Ending.ERROR)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_session_beside_another_one_which_does_not_notice(way: Way, tmp_path: Path) -> None:
    async def run(step: int) -> Trial:
        stands, may_end = asyncio.Event(), asyncio.Event()
        other = World(MemoryHost())

        async def body(host: MemoryHost, hook_ctx: object) -> None:
            stands.set()
            await may_end.wait()
            host.write("STATUS: nothing noticed", "DONE")
            await asyncio.get_running_loop().create_future()

        other_task = asyncio.ensure_future(other.run({"body": body}))
        await stands.wait()
        world = local_world(tmp_path)
        trial = await disturbed(world, whole_session(world, "DONE"), way, step)
        may_end.set()
        assert (await other_task).ending is Ending.DONE
        assert other.ctx.messages == ["nothing noticed"]
        return trial

    disturb_at_every_step(run, Ending.DONE)


@pytest.mark.parametrize("way", [CALLER, OPTIO], ids=str)
def test_a_session_whose_messages_wait_in_a_file(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "find_block", lambda data, start: start)  # each message comes by itself
    monkeypatch.setattr(queue, "MEMORY", 150)  # the first messages fit, and not the others
    monkeypatch.setattr(queue, "PATIENCE", 0.0)
    make_file = Mock(wraps=tempfile.TemporaryFile)
    monkeypatch.setattr(tempfile, "TemporaryFile", make_file)

    async def run(step: int) -> Trial:
        world = local_world(tmp_path)
        return await disturbed(world, whole_session(world, "DONE", messages=20), way, step)

    disturb_at_every_step(run, Ending.DONE)
    assert make_file.called


def disturb_at_every_step(run: Callable[[int], Awaitable[Trial]], usual: Ending) -> None:
    """Try all steps of the first schedule and some of each other one, until the session has no such step.

    Args:
        run: runs a session that is disturbed at that step.
        usual: how it ends if it is not.
    """

    async def try_steps(seed: int) -> None:
        stride = STRIDE if seed else 1
        for step in count(seed % stride, stride):
            before = open_files()
            with _seeded(seed):
                trial = await run(step)
            try:
                check(trial, usual)
                assert open_files() == before
            except AssertionError as failure:
                failure.add_note(f"{trial.way}, step {step} of the loop, seed {seed}: {trial.outcome}")
                raise
            if not trial.fired:
                break

    with no_leaks(), asyncio.Runner(loop_factory=EveryStepLoop) as runner:
        for seed in range(SEEDS):
            runner.run(try_steps(seed))


def local_world(folder: Path) -> World:
    return World(optio_host.host.LocalHost(str(folder / "task")))


def open_files() -> list[str]:
    """What is open, but for the inotify descriptor that waits a moment for the next session."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(name for name in found if name != "anon_inode:inotify")
