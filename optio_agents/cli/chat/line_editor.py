"""The line that the user types in a chat: prompt_toolkit's editor below the text that streams in."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

if TYPE_CHECKING:
    from optio_agents.bridge import Boundary

HISTORY_LIMIT = 1024 * 1024
"""When the history is longer, in bytes, its older half is removed."""

DRAW_SECONDS = 0.03
"""Text that streams in redraws the line at most this often."""


class LineEditor:
    """A line editor with history, completion of commands, and paste of several lines.

    prompt_toolkit runs on asyncio. It is awaited across `boundary`, in the same thread: cancelling `read` ends it.

    Args:
        boundary: the way to asyncio.
        mark: what stands before the line.
        commands: the commands that Tab completes, with what each does.
        history: the file of what was typed before; `None` keeps it in memory.
        may_discard: whether Ctrl-C discards a line that has been begun, rather than interrupt the agent.
        no_color: whether the menu of commands has no colors.
    """

    def __init__(
        self,
        boundary: Boundary,
        mark: str,
        commands: Mapping[str, str],
        history: Path | None,
        may_discard: Callable[[], bool],
        no_color: bool = False,
    ) -> None:
        self._boundary = boundary
        self._mark = mark
        self._above: list[str] = []
        output = Vt100_Output.from_pty(sys.stdout)
        output.enable_cpr = False  # not every terminal answers, and an answer that comes late is typed text
        self._session: PromptSession[str] = PromptSession(
            self._message,
            output=output,
            history=InMemoryHistory() if history is None else _open_history(history),
            completer=_CommandCompleter(commands),
            complete_while_typing=False,
            color_depth=ColorDepth.DEPTH_1_BIT if no_color else None,
            key_bindings=_bindings(may_discard),
            prompt_continuation=" " * len(mark),
            reserve_space_for_menu=min(len(commands), 6),
            enable_suspend=True,
        )
        # The line disappears when it is complete: the chat prints it among the rest.
        self._session.app.erase_when_done = True
        self._session.app.min_redraw_interval = DRAW_SECONDS
        self._draft = ""

    async def read(self) -> str:
        """Let the user edit a line, and return it. A line that was begun when this was cancelled is continued.

        Raises:
            EOFError: Ctrl-D on an empty line, or the terminal was hung up.
        """
        try:
            text = await self._boundary.call(self._prompt, label="the line editor")
        except trio.Cancelled:
            self._draft = self._session.default_buffer.text
            raise
        self._draft = ""
        return text

    async def _prompt(self) -> str:
        return await self._session.prompt_async(
            default=self._draft, handle_sigint=False, set_exception_handler=False
        )

    def show_above(self, lines: list[str]) -> None:
        """Show these lines directly above the line, until the next call. They must fit on the screen."""
        if lines != self._above:
            self._above = lines
            self._session.app.invalidate()

    @contextmanager
    def printing(self) -> Iterator[None]:
        """Remove the line from the screen while the block prints."""
        app = self._session.app
        if not app.is_running or app.is_done:
            yield
            return
        app.renderer.erase()
        try:
            yield
        finally:
            sys.stdout.flush()
            app.invalidate()

    def _message(self) -> StyleAndTextTuples:
        return [("", "".join(f"{line}\n" for line in self._above)), ("bold", self._mark)]


def _bindings(may_discard: Callable[[], bool]) -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("c-c")
    def _interrupt(event: KeyPressEvent) -> None:
        if event.current_buffer.text and may_discard():
            event.current_buffer.reset()
        else:
            signal.raise_signal(signal.SIGINT)

    @bindings.add("escape", "enter")
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings


class _CommandCompleter(Completer):
    """Completes the name of a command at the beginning of the line."""

    def __init__(self, commands: Mapping[str, str]) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The commands that begin with what was typed."""
        typed = document.text
        if typed.startswith("/"):
            for name, about in self._commands.items():
                if name.startswith(typed):
                    yield Completion(name, start_position=-len(typed), display_meta=about)


def _open_history(path: Path) -> History:
    """The history in `path`, readable by its owner only; in memory if the file cannot be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        _shorten(path)
    except OSError:
        return InMemoryHistory()
    return _SavedHistory(path)


def _shorten(path: Path) -> None:
    data = path.read_bytes()
    if len(data) > HISTORY_LIMIT:
        # An entry begins with an empty line and its time.
        start = data.find(b"\n# ", len(data) - HISTORY_LIMIT // 2)
        path.write_bytes(data[start:] if start >= 0 else b"")


class _SavedHistory(FileHistory):
    def store_string(self, string: str) -> None:
        """Add a line. A full disk must not end the chat."""
        with suppress(OSError):
            super().store_string(string)
