"""An agent's Markdown on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown
from rich.segment import Segment

from optio_agents.cli.chat.question_screen import harmless


class AgentMarkdown:
    """A block of Markdown, rendered without what could act on the terminal or hide something.

    HTML is shown as text, a link with its address. Numeric entities and percent codes can stand for control characters,
    so the rendered text is made harmless, not the source.
    """

    def __init__(self, block: str) -> None:
        self._markdown = Markdown("", hyperlinks=False, code_theme="ansi_dark")
        parser = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")
        self._markdown.parsed = parser.parse(block)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render it."""
        yield from self._segments(console, options)

    def _segments(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._markdown, options):
            if segment.text == "\n" or segment.text.isprintable():
                yield Segment(segment.text, segment.style)
            elif not segment.control:
                yield Segment(harmless(segment.text), segment.style)
