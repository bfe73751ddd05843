"""`optio-agents` at a terminal of its own, as a user sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

from tests.support.cli_run import COMMAND_LINE, HANG_GUARD, environment_for

JOB_CONTROL = (
    sys.executable,
    "-c",
    """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while os.WIFSTOPPED(os.waitpid(job, os.WUNTRACED)[1]):
    os.tcsetpgrp(0, os.getpid())
    print("stopped", flush=True)
    input()
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
""",
)
"""Starts a program as a shell does: Ctrl-Z stops it, and Enter then continues it in the foreground."""


class Terminal:
    """The program at a terminal of its own.

    `screen` is everything that it wrote; `shown` is what a user sees of it, earlier lines included.

    Args:
        tmp_path: where it runs.
        arguments: of `optio-agents`.
        before: a program and arguments that start it.
        size: columns and rows.
        environment: changed variables.
    """

    def __init__(
        self,
        tmp_path: Path,
        *arguments: str,
        before: Sequence[str] = (),
        size: tuple[int, int] = (100, 24),
        **environment: str,
    ) -> None:
        self._master, slave = pty.openpty()
        self._emulator = pyte.HistoryScreen(*size, history=10_000)
        self._stream = pyte.ByteStream(self._emulator)
        self.resize(*size)
        settings = environment_for(tmp_path, {"TERM": "xterm", "NO_COLOR": "1", **environment})
        settings.pop("COLUMNS")
        self.process = subprocess.Popen(
            [*before, *COMMAND_LINE, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=tmp_path,
            env=settings,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.screen = ""

    def until(self, text: str) -> None:
        """Read until `text` has been written."""
        self._read_until(lambda: text in self.screen, text)

    def until_shown(self, text: str) -> None:
        """Read until a user sees `text`."""
        self._read_until(lambda: text in self.shown, text)

    def until_row(self, text: str) -> None:
        """Read until the cursor is directly behind `text`, which begins its row."""
        self._read_until(lambda: self.row == text, text)

    @property
    def shown(self) -> str:
        """What a user sees, and what has scrolled away."""
        columns = range(self._emulator.columns)
        past = ("".join(line[x].data for x in columns).rstrip() for line in self._emulator.history.top)
        return "\n".join([*past, *(line.rstrip() for line in self._emulator.display)])

    @property
    def row(self) -> str:
        """What is before the cursor in its row."""
        cursor = self._emulator.cursor
        return self._emulator.display[cursor.y][: cursor.x]

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller."""
        self._emulator.resize(rows, columns)
        termios.tcsetwinsize(self._master, (rows, columns))

    def _read_until(self, condition: Callable[[], bool], wanted: str) -> None:
        deadline = time.monotonic() + HANG_GUARD
        while not condition():
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._master], [], [], left)[0], f"not {wanted!r}: {self.shown}"
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            assert data, f"ended without {wanted!r}: {self.shown}"
            self.screen += data.decode(errors="replace")
            self._stream.feed(data)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as a shell leaves it."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
