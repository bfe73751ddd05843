"""Whether a process waits for its stdin."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from optio_agents.hosts.processes.blocked import reads_stdin


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="another architecture")
def test_a_process_that_reads_our_pipe_is_told_from_one_that_sleeps() -> None:
    reader, writer = os.pipe()
    status = os.fstat(writer)
    pipe = (status.st_dev, status.st_ino)
    ready = "import sys, os, time; print('ready', flush=True); "
    programs = [ready + "os.read(0, 1)", ready + "time.sleep(1000)"]
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdin=reader, stdout=subprocess.PIPE)
        for code in programs
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        reading, sleeping = (process.pid for process in processes)
        # Both are past their last line; the reader may need a moment until it is in the kernel.
        while not reads_stdin(reading, pipe):
            os.sched_yield()
        assert not reads_stdin(sleeping, pipe)
        assert not reads_stdin(reading, (0, 0))
        assert not reads_stdin(2**22 + 1, pipe)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        os.close(reader)
        os.close(writer)
