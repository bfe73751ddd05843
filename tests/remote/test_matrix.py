"""Sessions over SSH in every kind of asyncio loop, by every kind of end (see `tests/session/test_matrix.py`)."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents import Ending, SessionFailed
from tests.support.loop_matrix import LoopFactory, Program, loops
from tests.support.remote_task import still_running
from tests.support.servers import Ssh
from tests.support.ssh_host import connected, ssh_host

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    logging.disable()  # pytest keeps what is logged, and with it connections
    yield
    for _ in range(2):  # the second time frees what only the run of Trio has held
        gc.collect()
    logging.disable(logging.NOTSET)
    trio.run(trio.lowlevel.checkpoint)
    assert still_running(str(tmp_path)) == []


async def done(program: Program) -> Ending | None:
    program.lines = "DONE: ok\n"
    return (await program.run()).ending


async def error(program: Program) -> Ending | None:
    program.lines = "ERROR: no\n"
    with pytest.raises(SessionFailed, match="no"):
        await program.run()
    return Ending.ERROR


async def cancelled_by_optio(program: Program) -> Ending | None:
    task = await program.begin()
    program.ctx.cancellation_flag.set()
    return (await task).ending


async def cancelled_by_the_caller(program: Program) -> Ending | None:
    task = await program.begin()
    task.cancel()
    await asyncio.wait([task])
    return Ending.CANCELLED if task.cancelled() else None


ENDS: dict[Callable[[Program], Awaitable[Ending | None]], Ending] = {
    done: Ending.DONE,
    error: Ending.ERROR,
    cancelled_by_optio: Ending.CANCELLED,
    cancelled_by_the_caller: Ending.CANCELLED,
}


@loops
def test_every_end_over_one_connection(ssh: Ssh, make_loop: LoopFactory, tmp_path: Path) -> None:
    async def main() -> None:
        async with connected(ssh_host(ssh, tmp_path / "task")) as host:
            for end, ending in ENDS.items():
                program = Program(host, "")
                assert await end(program) is ending, end
                assert program.endings == [ending], end
                assert program.body_ended == 1, end

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())


@loops
@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning"
)  # the program's connection, in a loop that is closed
def test_a_loop_that_is_closed(ssh: Ssh, make_loop: LoopFactory, tmp_path: Path) -> None:
    loop = make_loop()
    programs: list[Program] = []
    tasks: list[Any] = []

    async def begin() -> None:
        host = ssh_host(ssh, tmp_path / "task")
        await host.connect()
        programs.append(Program(host, ""))
        tasks.append(await programs[0].begin())

    loop.run_until_complete(begin())
    tasks[0]._log_destroy_pending = False
    loop.close()
    assert programs[0].endings == [Ending.CANCELLED]
    programs.clear()
    tasks.clear()
