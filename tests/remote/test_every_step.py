"""A whole session over SSH, awaited under asyncio, that is disturbed at steps all along its way.

Not at every step: a session takes some tenths of a second, most of them spent by sshd in starting processes.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.testing import no_leaks
from optio_agents import get_protocol
from optio_agents.protocol.session import Ending
from tests.support.asyncio_trials import CALLER, WAYS, EveryStepLoop, Trial, Way, World, disturbed
from tests.support.servers import Ssh
from tests.support.ssh_host import connected, ssh_host
from tests.support.whole_session import check, whole_session

pytestmark = pytest.mark.servers
HANG = 90.0

TRIALS = 24
NEVER = 1_000_000
"""No session has as many steps."""


def test_sessions_over_one_connection(ssh: Ssh, tmp_path: Path) -> None:
    async def program() -> None:
        async with connected(ssh_host(ssh, tmp_path)) as host:
            length = (await one_trial(host, CALLER, NEVER)).steps
            for number in range(TRIALS):
                await one_trial(host, WAYS[number % len(WAYS)], number * length // TRIALS)
        async with asyncio.timeout(HANG):
            # sshd ends them once their channel is closed, and does not say when.
            while processes_that_name(tmp_path):
                await asyncio.sleep(0.05)

    with no_leaks(), asyncio.Runner(loop_factory=EveryStepLoop) as runner:
        runner.run(program())


async def one_trial(host: Any, way: Way, step: int) -> Trial:
    connection = host._conn
    world = World(host)
    # No launchers are put in place: that takes a dozen commands.
    arguments = whole_session(world, "DONE") | {"protocol": get_protocol(caller_messages=True)}
    trial = await disturbed(world, arguments, way, step)
    try:
        check(trial, Ending.DONE)
        assert not trio.lowlevel.in_trio_run()
        assert host._conn is connection
        assert not connection.is_closed()
    except AssertionError as failure:
        failure.add_note(f"{way}, step {step} of the loop: {trial.outcome}")
        raise
    return trial


def processes_that_name(folder: Path) -> list[bytes]:
    """The command lines in which a folder stands."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines.append(path.read_bytes())
    return [line for line in lines if os.fsencode(folder) in line]
