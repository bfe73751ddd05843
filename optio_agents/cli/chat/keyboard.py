"""Keys and lines of a terminal. They go to the chat, or to the question that is on the screen."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

import trio

LINE_LIMIT = 1024 * 1024
"""The longest line that is kept, in bytes."""


@dataclass
class _Wanted:
    """The input that a question waits for: one of `keys`, or (without keys) a line."""

    keys: str
    answered: trio.Event = field(default_factory=trio.Event)
    answer: str | None = None

    def settle(self, answer: str | None) -> None:
        self.answer = answer
        self.answered.set()


class Keyboard:
    """The typed input. One task reads it (`take`). A question asks for a `key` or a `line`, one at a time.

    Input that was typed but not sent before a question is discarded: it was not meant as an answer. A key counts as an
    answer only if it comes alone.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._wanted: _Wanted | None = None
        self._ended = False

    def take(self, data: bytes) -> list[str]:
        """Handle input that was read; return the lines that are for the chat. `b""` is the end of the input."""
        if not data:
            self._ended = True
            if self._wanted is not None:
                self._wanted.settle(None)
            data = b"\n" if self._rest else b""
        if self._wanted is not None and self._wanted.keys:
            key = data.rstrip(b"\r\n").decode(errors="replace").lower()
            if len(key) == 1 and key in self._wanted.keys and not self._wanted.answered.is_set():
                self._wanted.settle(key)
            return []
        *complete, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:LINE_LIMIT]
        lines = [line.decode(errors="replace").strip() for line in complete]
        if self._wanted is not None and lines and not self._wanted.answered.is_set():
            self._wanted.settle(lines.pop(0))
        return [line for line in lines if line]

    async def key(self, keys: str, prompt: Callable[[], object]) -> str | None:
        """Show the prompt, and wait for one of `keys`; `None` at the end of the input."""
        with self._cbreak():
            prompt()
            return await self._wait(_Wanted(keys))

    async def line(self, prompt: Callable[[], object], *, secret: bool = False) -> str | None:
        """Show the prompt, and wait for a line; `None` at the end of the input. With `secret` it is not shown."""
        with self._no_echo() if secret else nullcontext():
            if os.isatty(self._descriptor):
                termios.tcflush(self._descriptor, termios.TCIFLUSH)
            prompt()
            return await self._wait(_Wanted(""))

    async def _wait(self, wanted: _Wanted) -> str | None:
        self._rest = b""
        self._wanted = wanted
        try:
            if self._ended:
                wanted.settle(None)
            await wanted.answered.wait()
            return wanted.answer
        finally:
            self._wanted = None

    @contextmanager
    def _cbreak(self) -> Iterator[None]:
        """Let a terminal pass on each key at once instead of whole lines. Other descriptors are not changed."""
        if not os.isatty(self._descriptor):
            yield
            return
        with self._restored():
            tty.setcbreak(self._descriptor, termios.TCSAFLUSH)
            yield

    @contextmanager
    def _no_echo(self) -> Iterator[None]:
        if not os.isatty(self._descriptor):
            yield
            return
        with self._restored():
            attributes = termios.tcgetattr(self._descriptor)
            attributes[3] &= ~termios.ECHO
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, attributes)
            yield

    @contextmanager
    def _restored(self) -> Iterator[None]:
        before = termios.tcgetattr(self._descriptor)
        try:
            yield
        finally:
            with suppress(termios.error):  # it was hung up: there is nothing to restore
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)
