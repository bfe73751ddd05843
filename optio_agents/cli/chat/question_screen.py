"""A console that shows running text, and holds it back while a question is on the screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console, RenderableType
from rich.text import Text

from optio_agents.protocol.display import display_text

HELD_LIMIT = 1024 * 1024
"""Characters that are kept while a question is on the screen; of more, the first ones are dropped."""


class QuestionScreen:
    """Prints text in pieces and in lines. Everything that is printed must be harmless for a terminal (`harmless`)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._at_line_start = True
        self._asking = False
        self._held: list[tuple[str, bool]] = []
        self._held_size = 0

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._console.width, self._console.height

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While the block runs, a question has the screen (`hold`)."""
        self.hold(True)
        try:
            yield
        finally:
            self.hold(False)

    def hold(self, asking: bool) -> None:
        """While a question is on the screen, hold the running text, which would scroll the question away."""
        if asking:
            self.end_line()
        self._asking = asking
        if not asking:
            held, self._held, self._held_size = self._held, [], 0
            for text, own_line in held:
                self.write(text, own_line=own_line)

    def write(self, text: str, *, own_line: bool = False) -> None:
        """Print running text, now or when the question has been answered; `own_line`: at the start of a line."""
        if self._asking:
            self._held.append((text, own_line))
            self._held_size += len(text)
            while self._held_size > HELD_LIMIT and len(self._held) > 1:
                self._held_size -= len(self._held.pop(0)[0])
            return
        if own_line:
            self.end_line()
        self.print(Text(text), end="")
        self._at_line_start = text.endswith("\n")

    def line(self, line: str, style: str) -> None:
        """Print a line at once, also while a question is on the screen."""
        if not self._asking:
            self.end_line()
        self.print(Text(line, style=style))

    def end_line(self) -> None:
        """Continue at the start of a line."""
        if not self._at_line_start:
            self.print(Text(""))
            self._at_line_start = True

    def print(self, shown: RenderableType, end: str = "\n", *, wrap: bool = False) -> None:
        """Print at once: a `Text`, because markup and names of emoji must not be replaced. `wrap`: at the words."""
        with suppress(OSError):  # a terminal that was hung up shows nothing
            self._console.print(shown, end=end, soft_wrap=not wrap)


def harmless(text: str) -> str:
    """Text from outside, without control characters other than the ends of lines."""
    return "\n".join(display_text(line, max(32, len(line))) if line else "" for line in text.split("\n"))
