"""A descriptor of ours that an asyncio loop watches, safe from what other code does to the loop.

A loop knows descriptors by number, and numbers are reused. Two mistakes of other code therefore affect us. A reader
that stays in the loop after its socket was closed makes the loop assume that it watches our number already. A reader
that is removed after its socket was closed removes ours. `LoopReader` clears the number before it begins, and begins
again when other code has removed its reader.

It also reports that the loop was closed, for which asyncio has no hook. In both cases the loop drops its callbacks, and
that is how they are noticed. A forked process must not react: its copy of the loop shares the kernel's watches with the
parent's, so that it must not remove any.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context

RETRY = 1.0
"""Seconds until a reader that others have removed is added once more, if the loop refuses it."""


class LoopReader:
    """Has `loop` call `on_readable` while `descriptor` is readable, until `close`.

    Args:
        on_closed: called if the loop is closed first, in the thread that closes it.

    Raises:
        OSError: the loop cannot watch the descriptor.
        RuntimeError: the loop has a transport with this number, whose socket was closed by other code.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptor: int,
        on_readable: Callable[[], object],
        on_closed: Callable[[], object] = lambda: None,
    ) -> None:
        self.descriptor = descriptor
        self.on_readable = on_readable
        self._on_closed = on_closed
        self._loop = loop
        self._process = os.getpid()
        self._held = 0
        self._is_open = False
        self._add()
        self._is_open = True

    def close(self) -> None:
        """Stop watching. Idempotent. Call it before the descriptor is closed."""
        if self._is_open:
            self._is_open = False
            if not self._loop.is_closed() and self._process == os.getpid():
                self._loop.remove_reader(self.descriptor)
        self._forget_owner()

    def released(self, token: _HeldByLoop) -> None:
        """The loop has dropped `token`. May be called in any thread."""
        if not self._is_open or token.number != self._held or self._process != os.getpid():
            return
        if self._loop.is_closed():
            self._is_open = False
            on_closed = self._on_closed
            self._forget_owner()
            on_closed()
        else:
            # Do it in the loop's next turn: the loop is just removing the reader.
            self._loop.call_soon_threadsafe(self._next_token().add_again)

    def add_again(self, token: _HeldByLoop) -> None:
        """Add our reader again: other code has removed it."""
        if not self._is_open or token.number != self._held:
            return
        try:
            self._add()
        except (OSError, RuntimeError) as refusal:
            self._loop.call_exception_handler(
                {"message": f"descriptor {self.descriptor} cannot be watched again", "exception": refusal}
            )
            self._loop.call_later(RETRY, self._next_token().add_again, context=Context())

    def _add(self) -> None:
        # The descriptor is ours alone: a reader that the loop has for its number belongs to a closed one.
        for remove in (self._loop.remove_writer, self._loop.remove_reader):
            with suppress(OSError):  # the kernel does not watch it any more
                remove(self.descriptor)
        try:
            Context().run(self._loop.add_reader, self.descriptor, self._next_token().readable)
        except BaseException:
            self._held += 1  # the token goes without having been held
            raise

    def _forget_owner(self) -> None:
        self.on_readable = self._on_closed = _nothing  # both may refer to what refers to us

    def _next_token(self) -> _HeldByLoop:
        self._held += 1
        return _HeldByLoop(self, self._held)


class _HeldByLoop:
    """An object to which only the loop refers: it is destroyed when the loop drops it."""

    def __init__(self, reader: LoopReader, number: int) -> None:
        self._reader = reader
        self.number = number

    def readable(self) -> None:
        self._reader.on_readable()

    def add_again(self) -> None:
        self._reader.add_again(self)

    def __del__(self) -> None:
        self._reader.released(self)


def _nothing() -> None:
    pass
