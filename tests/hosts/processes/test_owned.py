"""A child process with an owner: nothing of it is left, however its owner ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from subprocess import PIPE

import pytest
import trio
import trio.testing

from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.owned import OwnedProcess
from optio_agents.hosts.processes.process_tree import EndedBy
from tests.support.processes import alive

HANG_GUARD = 60.0
PATIENT = Deadlines(HANG_GUARD, HANG_GUARD, HANG_GUARD)
READS_TO_THE_END = "echo $$; cat"
IGNORES_TERM = "trap '' TERM; setsid sleep 1000 & echo $!; while :; do sleep 1000; done"


@asynccontextmanager
async def started(script: str, deadlines: Deadlines = PATIENT) -> AsyncIterator[tuple[OwnedProcess, int]]:
    """A shell that runs `script`, and the process id that the script printed first."""
    process = await OwnedProcess.start(
        ["/bin/sh", "-c", script], environment=os.environ, stdin=PIPE, stdout=PIPE, deadlines=deadlines
    )
    try:
        with trio.fail_after(HANG_GUARD):
            assert process.stdout is not None
            pid = int(await process.stdout.receive_some(100))
            yield process, pid
    finally:
        process.hurry()
        await process.end()
        await process.close_streams()


async def test_a_program_that_is_asked_ends_by_that() -> None:
    async with started(READS_TO_THE_END) as (process, _):
        assert process.stdin is not None
        end = await process.end(ask=process.stdin.aclose)
        assert (end.by, process.returncode) == (EndedBy.ASKING, 0)


async def test_a_program_that_has_exited_is_not_asked() -> None:
    async def never() -> None:
        raise AssertionError("it was asked")

    async with started("echo $$") as (process, _):
        assert await process.wait() == 0
        assert (await process.end(ask=never)).by is EndedBy.ITSELF


async def test_what_a_program_leaves_behind_is_ended() -> None:
    async with started("setsid sleep 1000 & echo $!") as (process, child):
        await process.wait()
        assert (await process.end()).by is EndedBy.TERM
        assert not alive(child)


async def test_a_tree_that_ignores_term_is_killed() -> None:
    async with started(IGNORES_TERM, Deadlines(ask=0, term=0.01, kill=HANG_GUARD)) as (process, child):
        assert (await process.end()).by is EndedBy.KILL
        assert process.returncode == -signal.SIGKILL
        assert not alive(child)


async def test_hurry_kills_at_once() -> None:
    async with started(IGNORES_TERM) as (process, child):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(process.end)
            await trio.testing.wait_all_tasks_blocked()
            process.hurry()
        assert process.returncode == -signal.SIGKILL
        assert not alive(child)


async def test_a_cancellation_does_not_leave_the_end_half_done() -> None:
    async with started(IGNORES_TERM, Deadlines(ask=0, term=0.01, kill=HANG_GUARD)) as (process, child):
        with trio.CancelScope() as scope:
            scope.cancel()
            await process.end()
        assert not alive(child)


async def test_ending_twice_tells_the_same() -> None:
    async with started(READS_TO_THE_END) as (process, _):
        assert await process.end() is await process.end()


async def test_a_program_that_cannot_be_started_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await OwnedProcess.start(["/nowhere"], environment={})


def test_the_total_covers_each_step() -> None:
    assert Deadlines(ask=1, term=2, kill=3).total == 9
