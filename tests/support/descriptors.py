"""What this process has open."""

from __future__ import annotations

import os
from contextlib import suppress


def open_descriptors() -> list[str]:
    """Return the names of this process's file descriptors."""
    descriptors = os.listdir("/proc/self/fd")
    # The listing itself has one open while it reads.
    return [name for name in sorted(descriptors) if os.path.exists(f"/proc/self/fd/{name}")]


def described_descriptors() -> set[tuple[str, str]]:
    """The number of each, and what is open under it: another file under a number that was free again is another one."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
    return found
