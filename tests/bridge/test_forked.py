"""Processes that are forked while sessions run: the child is free, and the parent's sessions are untouched."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator

import pytest
import trio

from optio_agents.bridge import Boundary, driver_choice, run_in_trio
from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.process_tree import ProcessTree, end_tree

HANG = 60.0


@pytest.fixture(autouse=True)
def forks_are_allowed() -> Iterator[None]:
    """Newer Pythons warn of forks beside threads; pytest and the public driver have some."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        yield


def in_child(function: Callable[[], object]) -> str:
    """What `function` returns, or how it failed, in a process forked here and now."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = str(function())
        except BaseException:
            said = traceback.format_exc()
        os.write(write, said.encode()[-4000:])
        os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        said = answer.read().decode()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return said


async def small(boundary: Boundary) -> str:
    async def callback() -> str:
        await asyncio.sleep(0)
        return "called"

    await trio.lowlevel.checkpoint()
    return await boundary.call(callback, label="callback")


def asyncio_session() -> str:
    return asyncio.run(asyncio.wait_for(run_in_trio(small), HANG))


def trio_run() -> str:
    trio.run(trio.lowlevel.checkpoint)
    return "ran"


class Parent:
    """A session that goes on until it is asked to end; notes what cleans up, and where."""

    def __init__(self) -> None:
        self.cleaned_up: list[int] = []

    async def __call__(self, boundary: Boundary) -> str:
        self.begun.set()
        try:
            await boundary.wait_flag(self.goes_on)
            return "went on"
        finally:
            self.cleaned_up.append(os.getpid())

    async def run(self, during: Callable[[], str]) -> tuple[str, str]:
        self.begun, self.goes_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(run_in_trio(self))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await self.begun.wait()
        said = during()
        self.goes_on.set()
        return said, await asyncio.wait_for(task, HANG)


@pytest.mark.parametrize(("function", "says"), [(asyncio_session, "called"), (trio_run, "ran")])
def test_a_child_can_have_sessions_of_its_own(
    function: Callable[[], str], says: str, trio_driver: str
) -> None:
    said, ended = asyncio.run(Parent().run(lambda: in_child(function)))
    assert ended == "went on"
    if trio_driver == "stepping":
        assert said == says
    elif function is asyncio_session:
        assert "multiprocessing's spawn" in said
    else:
        assert "Attempted to call run() from inside a run()" in said


def test_a_child_of_a_callback_can_have_sessions_of_its_own(trio_driver: str) -> None:
    async def main(boundary: Boundary) -> str:
        return boundary.plain(lambda: in_child(asyncio_session))()

    said = asyncio.run(run_in_trio(main))
    assert said == "called" if trio_driver == "stepping" else "multiprocessing's spawn" in said


def test_a_child_of_a_session_under_trio_can_have_sessions_of_its_own(trio_driver: str) -> None:
    async def main(boundary: Boundary) -> str:
        await trio.lowlevel.checkpoint()
        return in_child(asyncio_session)

    async def program() -> str:
        said = await run_in_trio(main)
        await trio.sleep(0)
        return said

    said = trio.run(program)
    assert said == "called" if trio_driver == "stepping" else "multiprocessing's spawn" in said


def test_a_child_in_a_thread_of_its_own_can_have_sessions_too() -> None:
    def in_thread() -> str:
        said: list[str] = []
        thread = threading.Thread(target=lambda: said.append(asyncio_session()))
        thread.start()
        thread.join(HANG)
        return said[0]

    assert asyncio.run(Parent().run(lambda: in_child(in_thread))) == ("called", "went on")


def test_a_child_that_closes_its_copy_of_the_loop_ends_nothing() -> None:
    parent = Parent()
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        parent.begun, parent.goes_on = asyncio.Event(), asyncio.Event()
        tasks.append(asyncio.create_task(run_in_trio(parent)))
        await parent.begun.wait()

    async def end() -> str:
        parent.goes_on.set()
        return await asyncio.wait_for(tasks[0], HANG)

    def in_forked_child() -> list[int]:
        tasks[0]._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
        return parent.cleaned_up

    tasks: list[asyncio.Task[str]] = []
    loop.run_until_complete(begin())
    assert in_child(in_forked_child) == "[]"
    assert loop.run_until_complete(end()) == "went on"
    loop.close()


CHILD_EXITS = """
import asyncio, os, sys, trio
from optio_agents.bridge import run_in_trio

async def main(boundary):
    try:
        await trio.sleep_forever()
    finally:
        os.write(1, b"cleaned up in the %s\\n" % (b"parent" if os.getpid() == parent else b"child"))

async def program():
    session = asyncio.create_task(run_in_trio(main))
    await asyncio.sleep(0.01)
    child = os.fork()
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)
    os.write(1, b"the child has ended\\n")
    session.cancel()
    await asyncio.wait([session])

parent = os.getpid()
asyncio.run(program())
"""


def test_a_child_that_leaves_by_the_interpreters_end_cleans_up_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD_EXITS],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert ended.stdout.splitlines() == ["the child has ended", "cleaned up in the parent"], ended.stderr


CHILD_OF_TRIO_EXITS = """
import os, sys, trio
from optio_agents.bridge import run_in_trio
from optio_agents.hosts.processes.owned import OwnedProcess

async def main(boundary):
    agent = await OwnedProcess.start(["sleep", "60"], environment=dict(os.environ))
    try:
        child = os.fork()
        if child == 0:
            sys.exit(0)
        os.waitpid(child, 0)
        with trio.move_on_after(0.1):
            await agent.wait()
        print("the agent runs:", agent.returncode is None)
    finally:
        await agent.end()
        print("ended:", agent.returncode, flush=True)

trio.run(run_in_trio, main)
"""


def test_a_child_of_a_trio_program_that_exits_does_not_end_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(driver_choice.VARIABLE)  # without the private parts of Trio such a child hangs
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD_OF_TRIO_EXITS],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert ended.stdout.splitlines() == ["the agent runs: True", "ended: -15"], ended.stderr


def test_a_child_can_neither_see_nor_signal_the_processes_of_its_parent() -> None:
    agent = subprocess.Popen(["sleep", "60"])
    tree = ProcessTree(agent.pid)

    def end() -> object:
        return tree.signal(signal.SIGKILL), trio.run(lambda: end_tree(tree, deadlines=Deadlines())).by.name

    assert in_child(end) == "([], 'ITSELF')"
    assert agent.poll() is None
    assert [each.pid for each in tree.members()] == [agent.pid]
    tree.signal(signal.SIGKILL)
    assert agent.wait() == -signal.SIGKILL


def test_ctrl_c_is_the_childs_own_again(trio_driver: str) -> None:
    def handler() -> bool:
        return signal.getsignal(signal.SIGINT) is signal.default_int_handler

    assert handler()
    loop = asyncio.new_event_loop()  # without asyncio.run, Trio has a handler of its own
    said, _ = loop.run_until_complete(Parent().run(lambda: in_child(handler)))
    loop.close()
    assert said == str(trio_driver == "stepping")


def test_a_child_that_goes_on_with_its_copy_of_the_loop_is_told_whose_the_session_is() -> None:
    parent = Parent()

    async def program() -> str:
        parent.begun, parent.goes_on = asyncio.Event(), asyncio.Event()
        session = asyncio.create_task(run_in_trio(parent))
        await parent.begun.wait()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            said = ""
            try:
                asyncio._set_running_loop(loop)  # newer Pythons have reset it
                await asyncio.wait_for(session, HANG)
            except BaseException as error:
                said = repr(error)
            finally:
                os.write(write, said.encode())
                os._exit(0)
        os.close(write)
        with open(read, "rb") as answer:
            said = answer.read().decode()
        os.waitpid(child, 0)
        parent.goes_on.set()
        assert await session == "went on"
        return said

    loop = asyncio.new_event_loop()
    said = loop.run_until_complete(program())
    loop.close()
    assert "one of the process that this one was forked from" in said
