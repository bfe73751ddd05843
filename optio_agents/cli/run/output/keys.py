"""The keyboard of the live display: the terminal's mode, and reading it only while we are in the foreground."""

from __future__ import annotations

import errno
import os
import termios
import tty
from contextlib import suppress
from typing import Any

import trio

from optio_agents.cli.chat.stdin_bytes import read_some


class Keys:
    """The terminal of `descriptor`, read key by key and without echo from `take` to `give_back`.

    The kernel stops a background program that reads its terminal or changes its mode. So the terminal is not touched in
    the background.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: list[Any] | None = None
        self._taken = trio.Event()

    def take(self) -> None:
        """Set the mode, if we are in the foreground. Input that was already typed is kept."""
        if self._before is None and self._in_foreground():
            with suppress(termios.error):  # it was hung up
                self._before = termios.tcgetattr(self._descriptor)
                tty.setcbreak(self._descriptor, termios.TCSANOW)
                self._taken.set()

    def give_back(self) -> None:
        """Restore the earlier mode. Idempotent; never waits for the terminal."""
        before, self._before = self._before, None
        self._taken = trio.Event()
        if before is not None and self._in_foreground():
            with suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, before)

    async def read(self) -> bytes:
        """Wait for keys; `b""` once the terminal has gone."""
        while True:
            await self._taken.wait()
            await trio.lowlevel.wait_readable(self._descriptor)
            if self._in_foreground():
                return await read_some(self._descriptor)
            self.give_back()

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError as error:
            return error.errno == errno.ENOTTY  # not the terminal that our jobs are controlled from
