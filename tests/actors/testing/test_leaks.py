from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio

from actors.testing import no_leaks

linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")


@linux
def test_an_open_descriptor_is_a_leak() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    try:
        with pytest.raises(AssertionError, match="files"), no_leaks():
            copy = os.dup(reading)
        os.close(copy)
    finally:
        os.close(reading)


@linux
def test_a_child_process_is_a_leak() -> None:
    with pytest.raises(AssertionError, match="children"), no_leaks():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child.communicate(b"\n")


def test_a_thread_is_a_leak() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left")
    with pytest.raises(AssertionError, match=r"threads.*left"), no_leaks():
        thread.start()
    end.set()
    thread.join()


async def test_a_task_is_a_leak() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(AssertionError, match=r"tasks.*sleep_forever"), no_leaks():
            nursery.start_soon(trio.sleep_forever)
        nursery.cancel_scope.cancel()


async def test_trios_own_threads_and_what_ends_in_time_are_none() -> None:
    with no_leaks():
        await trio.to_thread.run_sync(lambda: None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
