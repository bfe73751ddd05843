"""A real tmux server of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

WAIT_SECONDS = 60.0  # a guard against hanging


class TmuxServer:
    """One server with one session, `agent`; its socket has a short path, because the system limits that."""

    session = "agent"

    def __init__(self, directory: str) -> None:
        self.socket = f"{directory}/tmux"

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self.socket, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def start(self, command: str) -> None:
        self.run("-f", "/dev/null", "new-session", "-d", "-s", self.session, "-x", "80", "-y", "24", command)

    def type(self, text: str) -> None:
        self.run("send-keys", "-t", self.session, "-l", text)

    def kill(self) -> None:
        subprocess.run(
            ["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False, timeout=60
        )

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """tmux's own processes send no event when they have written something, so there is none to wait for."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "tmux did not get there"
            time.sleep(0.02)


@contextmanager
def tmux_server() -> Iterator[TmuxServer]:
    if shutil.which("tmux") is None:
        if os.environ.get("CI"):
            pytest.fail("tmux is not installed")
        pytest.skip("tmux is not installed")
    with TemporaryDirectory(prefix="optio-tmux-", dir="/tmp") as directory:
        server = TmuxServer(str(Path(directory)))
        try:
            yield server
        finally:
            server.kill()
