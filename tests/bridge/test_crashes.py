"""Trio crashes, or a signal handler exits, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

HANG = 60.0

EXIT_IN_THE_SCHEDULER = """
import asyncio, trio
from optio_agents.bridge import run_in_trio

def exit_here(raise_cancel):
    raise SystemExit(7)

async def main(boundary):
    with trio.move_on_after(0.001):
        await trio.lowlevel.wait_task_rescheduled(exit_here)

async def hang(boundary):
    await trio.sleep_forever()

async def program():
    other = asyncio.create_task(run_in_trio(hang))
    await asyncio.gather(run_in_trio(main), other)

try:
    asyncio.run(program())
finally:
    trio.run(trio.lowlevel.checkpoint)
    print("Trio can run")
"""


TRIO_CRASHES = """
import asyncio, os, sys, tempfile, trio
from optio_agents.bridge import run_in_trio
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.log.local_reader import open_log_reader

place = tempfile.mkdtemp()
log = os.path.join(place, "optio.log")
open(log, "w").close()

def crash(raise_cancel):
    raise ValueError("inside Trio")

async def main(boundary):
    with open_log_reader(Directory(place), "optio.log") as reader:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader.read)
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.001):
                await trio.lowlevel.wait_task_rescheduled(crash)

async def program():
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: print("unexpected:", context))
    try:
        await run_in_trio(main)
    except trio.TrioInternalError as error:
        print("the session hears of", repr(error.__cause__))
    with open(log, "w") as file:
        file.write("STATUS: nobody reads this")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    inotify = [name for name in os.listdir("/proc/self/fd") if "inotify" in link(name)]
    print("descriptors:", len(inotify))

def link(name):
    try:
        return os.readlink("/proc/self/fd/" + name)
    except OSError:
        return ""

import trio.testing
asyncio.run(program())
"""


def test_a_crash_of_trio_ends_the_session_and_leaves_no_descriptor() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TRIO_CRASHES], capture_output=True, text=True, timeout=HANG, check=False
    )
    assert ended.stdout.splitlines() == [
        "the session hears of ValueError('inside Trio')",
        "descriptors: 0",
    ], ended.stderr


def test_a_signal_handler_that_exits_in_the_middle_of_trio_leaves_the_loop_as_that_exit() -> None:
    # In a process of its own, because Trio's nurseries warn loudly that they were not ended.
    ended = subprocess.run(
        [sys.executable, "-c", EXIT_IN_THE_SCHEDULER],
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (7, "Trio can run\n")
