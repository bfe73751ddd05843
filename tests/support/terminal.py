"""`optio-agents` at a terminal of its own, as a user sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.cli_run import COMMAND_LINE, HANG_GUARD, environment_for


class Terminal:
    """The program at a terminal of its own; `before`: a program and arguments that start it."""

    def __init__(self, tmp_path: Path, *arguments: str, before: Sequence[str] = ()) -> None:
        self._master, slave = pty.openpty()
        environment = environment_for(tmp_path, {"TERM": "xterm", "NO_COLOR": "1"})
        self.process = subprocess.Popen(
            [*before, *COMMAND_LINE, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.screen = ""

    def until(self, text: str) -> None:
        """Read until `text` is on the screen."""
        deadline = time.monotonic() + HANG_GUARD
        while text not in self.screen:
            assert select.select([self._master], [], [], deadline - time.monotonic())[0], self.screen
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            assert data, f"ended without {text!r}: {self.screen}"
            self.screen += data.decode(errors="replace")

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
