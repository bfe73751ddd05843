"""What this process has open."""

from __future__ import annotations

import os


def open_descriptors() -> list[str]:
    """Return the names of this process's file descriptors."""
    descriptors = os.listdir("/proc/self/fd")
    # The listing itself has one open while it reads.
    return [name for name in sorted(descriptors) if os.path.exists(f"/proc/self/fd/{name}")]
