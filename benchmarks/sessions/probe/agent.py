"""The agent whose lines are timed: another process, which writes STATUS lines with the time in them."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, random, sys, time
path, samples, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gaps = random.Random(seed)
log = os.open(path, os.O_WRONLY | os.O_APPEND)
time.sleep(0.3)
for _ in range(samples):
    time.sleep(gaps.uniform(0.012, 0.02))
    os.write(log, b"STATUS: written at %d\\n" % time.monotonic_ns())
time.sleep(0.3)
os.write(log, b"DONE\\n")
"""
"""At most ten messages in a tenth of a second: more would be coalesced, by optio-core or by us."""

_MARK = "written at "


def start(log: str, samples: int, seed: int) -> subprocess.Popen[bytes]:
    """Let it write `samples` lines and DONE."""
    return subprocess.Popen([sys.executable, "-c", PROGRAM, log, str(samples), str(seed)])


def age(message: str, now: int) -> float | None:
    """How many seconds before `now` (in ns of the monotonic clock) a line was written; `None` if it tells no time."""
    _, mark, written = message.partition(_MARK)
    return (now - int(written)) / 1e9 if mark else None
