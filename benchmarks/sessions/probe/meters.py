"""What the kernel knows about a process: memory, descriptors, children, wake-ups."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 1024 * 1024


class PeakMemory:
    """The most resident memory above what there was when this was made."""

    def __init__(self) -> None:
        self._idle = _status(Path("/proc/self/status"))["VmRSS"]
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, see proc(5)

    def above_idle(self) -> float:
        """In MiB."""
        return (_status(Path("/proc/self/status"))["VmHWM"] - self._idle) * 1024 / MIB


def descriptors() -> int:
    """How many descriptors are open."""
    return len(os.listdir("/proc/self/fd")) - 1


def children() -> int:
    """How many child processes there are."""
    return sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))


def threads() -> int:
    """How many threads there are."""
    return len(os.listdir("/proc/self/task"))


def wake_ups() -> int:
    """How often a thread of this process, or of a child of it, has gone to sleep so far."""
    tasks = list(Path("/proc/self/task").glob("*/status"))
    for listing in Path("/proc/self/task").glob("*/children"):
        tasks += [Path(f"/proc/{child}/status") for child in listing.read_text().split()]
    return sum(_status(task)["voluntary_ctxt_switches"] for task in tasks)


def _status(path: Path) -> dict[str, int]:
    values = {}
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdigit():
            values[key] = int(number[0])
    return values
