"""What a group of rows shows: tables with a verdict, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Table:
    """A table; the first column is text, the others are numbers."""

    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Append a row."""
        self.rows.append(cells)

    def markdown(self) -> str:
        """As a table of GitHub's Markdown."""
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass(slots=True)
class Section:
    """A heading, a text, tables."""

    title: str
    text: str
    tables: list[Table] = field(default_factory=list)

    def markdown(self) -> str:
        """As Markdown."""
        parts = [f"## {self.title}", self.text.strip(), *(table.markdown() for table in self.tables)]
        return "\n\n".join(part for part in parts if part)


def at_least(value: float, goal: float, form: str = ".1f") -> str:
    """A factor, and whether it reaches its goal."""
    return f"{value:{form}} (goal {goal:g}{'' if value >= goal else ', **not reached**'})"


def at_most(value: float, goal: float, form: str, unit: str) -> str:
    """A figure, and whether it stays within its bound."""
    return f"{value:{form}} {unit} (bound {goal:g} {unit}{'' if value <= goal else ', **not kept**'})"
