"""Sessions over both local hosts, in every kind of asyncio loop, by every kind of end: one outcome, nothing left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import uvloop
from optio_host.host import LocalHost as OptioLocalHost

from optio_agents import Ending, SessionFailed, SessionOutcome, get_protocol, run_log_protocol_session
from optio_agents.hosts.local import LocalHost
from tests.support import public_trio
from tests.support.asyncio_trials import AsyncioCtx
from tests.support.descriptors import open_descriptors
from tests.support.loop_matrix import HANG, LoopFactory, Program, loops
from tests.support.threads import busy_threads

hosts = pytest.mark.parametrize("make_host", [LocalHost, OptioLocalHost], ids=["ours", "optio-host"])
HostFactory = Callable[[str], Any]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.sleep(0))  # libuv keeps a pipe for signals
    descriptors, threads = set(open_descriptors()), busy_threads()
    yield
    gc.collect()
    trio.run(trio.lowlevel.checkpoint)
    assert busy_threads() <= threads
    assert set(open_descriptors()) <= descriptors


@hosts
@loops
@pytest.mark.parametrize("lines", ["DONE: ok\n", "ERROR: no\n"], ids=["DONE", "ERROR"])
def test_an_end_by_the_log(
    make_host: HostFactory, make_loop: LoopFactory, lines: str, tmp_path: Path
) -> None:
    program = Program(make_host(str(tmp_path)), lines)
    with asyncio.Runner(loop_factory=make_loop) as runner:
        if lines.startswith("DONE"):
            assert runner.run(program.run()).ending is Ending.DONE
        else:
            with pytest.raises(SessionFailed, match="no"):
                runner.run(program.run())
    assert program.endings == [Ending.DONE if lines.startswith("DONE") else Ending.ERROR]
    assert program.body_ended == 1


@hosts
@loops
@pytest.mark.parametrize("by", ["optio", "the caller"])
def test_a_cancellation(make_host: HostFactory, make_loop: LoopFactory, by: str, tmp_path: Path) -> None:
    program = Program(make_host(str(tmp_path)), "")

    async def cancel() -> Ending | None:
        task = await program.begin()
        if by == "optio":
            program.ctx.cancellation_flag.set()
        else:
            task.cancel()
        await asyncio.wait([task])
        return None if task.cancelled() else task.result().ending

    with asyncio.Runner(loop_factory=make_loop) as runner:
        assert runner.run(cancel()) == (Ending.CANCELLED if by == "optio" else None)
    assert program.endings == [Ending.CANCELLED]
    assert program.body_ended == 1


@hosts
@loops
@pytest.mark.parametrize("where", ["the same thread", "another thread"])
def test_a_loop_that_is_closed(
    make_host: HostFactory, make_loop: LoopFactory, where: str, tmp_path: Path
) -> None:
    if where == "another thread" and public_trio.IS_WANTED:
        pytest.skip(public_trio.CANNOT_MOVE)
    program = Program(make_host(str(tmp_path)), "")
    loop = make_loop()
    tasks: list[Any] = []

    def begin() -> None:
        tasks.append(loop.run_until_complete(program.begin()))

    if where == "another thread":
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join(HANG)
    else:
        begin()
    tasks[0]._log_destroy_pending = False
    loop.close()
    assert program.endings == [Ending.CANCELLED]
    tasks.clear()


@hosts
@pytest.mark.parametrize("name", ["with spaces", 'it\'s $HOME; `id` & "more"'])
def test_a_directory_of_an_odd_name(make_host: HostFactory, name: str, tmp_path: Path) -> None:
    delivered: list[tuple[str, str]] = []

    async def body(host: Any, hook_ctx: Any) -> None:
        with open(os.path.join(host.workdir, "deliverables", "a.txt"), "w") as file:
            file.write("content")
        environment = {**os.environ, **hook_ctx.browser_launch_env}
        opening = ["xdg-open", "http://x/"]
        launcher = await asyncio.create_subprocess_exec(*opening, cwd=host.workdir, env=environment)
        assert await launcher.wait() == 0
        with open(os.path.join(host.workdir, "optio.log"), "a") as log:
            log.write("DELIVERABLE: deliverables/a.txt\nDONE\n")
        await asyncio.Event().wait()

    async def take(hook_ctx: Any, path: str, text: str) -> None:
        delivered.append((path, text))

    async def whole() -> SessionOutcome:
        protocol = get_protocol(browser="redirect")
        host = make_host(str(tmp_path / name))
        return await run_log_protocol_session(host, ctx, body=body, on_deliverable=take, protocol=protocol)

    ctx = AsyncioCtx()
    assert asyncio.run(whole()).ending is Ending.DONE
    assert delivered == [("a.txt", "content")]
