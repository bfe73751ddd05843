"""What a process waits for, as far as Linux shows it."""

from __future__ import annotations

import os
import platform

_READ = {"x86_64": "0", "aarch64": "63"}.get(platform.machine())
"""The number of the system call `read`, by architecture (Linux, `asm/unistd.h`)."""


def reads_stdin(pid: int, pipe: tuple[int, int]) -> bool:
    """Whether the process is inside `read` on its stdin, and that is the pipe with this device and inode.

    `False` where it cannot be known: on another architecture, or for a process that is not ours to look into.
    """
    if _READ is None:
        return False
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            number, descriptor = file.read().split()[:2]
        status = os.stat(f"/proc/{pid}/fd/0")
    except (OSError, ValueError):
        return False
    return (number, descriptor) == (_READ, "0x0") and (status.st_dev, status.st_ino) == pipe
