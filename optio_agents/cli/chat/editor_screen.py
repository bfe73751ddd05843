"""The screen of a chat with a line editor: Markdown and notes above the line, questions in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import chop_cells
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from optio_agents.cli.chat.markdown_blocks import MarkdownBlocks
from optio_agents.cli.chat.markdown_text import AgentMarkdown
from optio_agents.cli.chat.question_screen import QuestionScreen

if TYPE_CHECKING:
    from optio_agents.cli.chat.line_editor import LineEditor


class EditorScreen(QuestionScreen):
    """Shows running text block by block as Markdown. Above the line is the block that is not complete."""

    def __init__(self, console: Console, editor: LineEditor) -> None:
        super().__init__(console)
        self._editor = editor
        self._blocks = MarkdownBlocks()

    def write(self, text: str, *, own_line: bool = False) -> None:
        """Show a piece of the agent's message (`own_line`: a line of ours), now or after the question."""
        if self._asking:
            super().write(text, own_line=own_line)
            return
        if own_line:
            self.line(text.rstrip("\n"), "dim")
            return
        for block in self._blocks.feed(text):
            self._print_block(block)
        self._show_partial()

    def line(self, line: str, style: str) -> None:
        """Print a line of our own, after the text so far."""
        self.end_line()
        self.print(Text(line, style=style))

    def end_line(self) -> None:
        """Show everything that the agent has said so far for good."""
        for block in self._blocks.end():
            self._print_block(block)
        self._editor.show_above([])

    def print(self, shown: RenderableType, end: str = "\n", *, wrap: bool = False) -> None:
        """Print above the line."""
        with self._editor.printing():
            super().print(shown, end=end, wrap=wrap)

    def _print_block(self, block: str) -> None:
        self.print(Padding(AgentMarkdown(block), (0, 0, 1, 0)), wrap=True)

    def _show_partial(self) -> None:
        width, height = self.size()
        count = max(1, height // 3)
        rows = [row for line in self._blocks.tail(count) for row in chop_cells(line, width - 1) or [""]]
        self._editor.show_above(rows[-count:])
