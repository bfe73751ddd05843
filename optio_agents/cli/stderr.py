"""Writing to stderr, which may be full, closed, or a pipe that no process reads."""

from __future__ import annotations

import os
import sys


def write_stderr(*lines: str) -> None:
    """Write `lines` to stderr. If stderr cannot be written, ignore that: it must not change the exit code."""
    try:
        for line in lines:
            print(line, file=sys.stderr)
        sys.stderr.flush()
    except (OSError, ValueError):
        _discard(sys.stderr.fileno() if sys.stderr and not sys.stderr.closed else 2)


def discard_stdout() -> None:
    """Redirect the rest of stdout to /dev/null at the interpreter's exit: the reader has gone, or the disk is full."""
    _discard(sys.stdout.fileno())


def _discard(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
