"""The input of a terminal, which the line editor and the keys of a question have in turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from optio_agents.cli.chat.keyboard import Keyboard
from optio_agents.cli.chat.line_editor import LineEditor
from optio_agents.cli.chat.stdin_bytes import read_some


class EditorInput:
    """One task reads all input (`next_line`). While a question is asked, the input goes to the keyboard instead."""

    def __init__(self, editor: LineEditor, keyboard: Keyboard, descriptor: int) -> None:
        self._editor = editor
        self._keyboard = keyboard
        self._descriptor = descriptor
        self._is_asking = False
        self._reading = trio.CancelScope()
        self._editor_is_off = trio.Event()
        self._editor_is_off.set()

    @asynccontextmanager
    async def question(self) -> AsyncIterator[None]:
        """While the block runs, the keyboard has the input. It begins when the editor has left the terminal."""
        self._is_asking = True
        try:
            self._reading.cancel(reason="a question is asked")
            await self._editor_is_off.wait()
            yield
        finally:
            self._is_asking = False
            self._reading.cancel(reason="the question is answered")

    async def next_line(self) -> str:
        """The next line that the user has sent.

        Raises:
            EOFError: the input has ended.
        """
        while True:
            with trio.CancelScope() as self._reading:
                if self._is_asking:
                    await self._feed_keyboard()
                else:
                    return await self._edit()

    async def _edit(self) -> str:
        self._editor_is_off = trio.Event()
        try:
            return await self._editor.read()
        finally:
            self._editor_is_off.set()

    async def _feed_keyboard(self) -> None:
        while data := await read_some(self._descriptor):
            self._keyboard.take(data)
        self._keyboard.take(b"")
        raise EOFError
