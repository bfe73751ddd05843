"""Markdown that arrives in pieces, cut into blocks that can be shown for good."""

from __future__ import annotations

import re

BLOCK_LIMIT = 32 * 1024
"""A block with more characters is cut at the end of a line: it must not grow without limit."""

LINE_LIMIT = 8 * 1024
"""A line with more characters is cut."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class MarkdownBlocks:
    """Collects text, and gives each block when it is complete: a blank line ends one, except in fenced code."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0
        self._partial = ""
        self._fence = ""

    def feed(self, text: str) -> list[str]:
        """Add text; return the blocks that it completes."""
        blocks: list[str] = []
        *lines, partial = text.split("\n")
        for line in lines:
            whole, self._partial = self._partial + line, ""
            blocks += self._add(whole)
        self._partial += partial
        while len(self._partial) > LINE_LIMIT:
            piece, self._partial = self._partial[:LINE_LIMIT], self._partial[LINE_LIMIT:]
            blocks += self._add(piece)
        return blocks

    def end(self) -> list[str]:
        """The text has ended: return what is left, as a block."""
        blocks = self._add(self._partial) if self._partial else []
        self._partial = ""
        return blocks + self._cut()

    def tail(self, count: int) -> list[str]:
        """The last `count` lines of the block that is not complete."""
        lines = self._lines[-count:]
        return [*lines, self._partial][-count:] if self._partial else lines

    def _add(self, line: str) -> list[str]:
        if not self._fence and not line.strip():
            return self._cut()
        found = _FENCE.match(line)
        if found and not self._fence:
            self._fence = found[1]
        elif found and found[1].startswith(self._fence) and not line.strip().strip(self._fence[0]):
            self._fence = ""
        self._lines.append(line)
        self._size += len(line) + 1
        return self._cut() if self._size > BLOCK_LIMIT else []

    def _cut(self) -> list[str]:
        lines, self._lines, self._size, self._fence = self._lines, [], 0, ""
        return ["\n".join(lines)] if lines else []
