"""Text of an agent on which a person decides: complete, with every character visible.

`display_text` makes a text harmless by removing what a terminal would act on. Here nothing may be removed, because it
would still be executed. So each character that a terminal does not show as itself is written as `<U+200B>`.
"""

from __future__ import annotations

import json
import re
from typing import Any

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""Characters that count as printable and are shown as nothing (fillers, variation selectors, a blank pattern)."""

HIDDEN_NOTE = "characters that a terminal does not show are written as <U+....>"


def visible_line(text: str) -> str:
    """One line on which every character is visible. A text without invisible characters is returned unchanged."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_shown(char) else f"<U+{ord(char):04X}>" for char in text)


def visible_lines(text: str) -> list[str]:
    """The lines of a text. Only line feeds end a line."""
    return [visible_line(line) for line in text.split("\n")]


def hides(text: str) -> bool:
    """Whether `text` has characters that a terminal does not show as themselves."""
    return any(visible_line(line) != line for line in text.split("\n"))


def _is_shown(char: str) -> bool:
    return char.isprintable() and not _BLANK.match(char)


def input_lines(given: dict[str, Any]) -> list[str]:
    """A tool's complete input: one member per line, texts of several lines after a bar."""
    lines: list[str] = []
    hidden = False
    for key, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        hidden = hidden or hides(text) or hides(key)
        name = visible_line(key)
        first, *more = visible_lines(text)
        lines += (
            [f"  {name}:", *(f"  | {line}" for line in (first, *more))] if more else [f"  {name}: {first}"]
        )
    return [*lines, f"  ({HIDDEN_NOTE})"] if hidden else lines


def rows(line: str, width: int) -> int:
    """The number of terminal rows that a line takes. Wide characters count twice."""
    cells = sum(1 if char.isascii() else 2 for char in line)
    return max(1, -(-cells // max(1, width)))


def pages(lines: list[str], width: int, height: int) -> list[list[str]]:
    """`lines` in pieces that fit on a screen; a line that is longer than a screen is cut into several."""
    room = max(4, height - 4)
    pieces: list[str] = []
    for line in lines:
        size = max(1, width * room // 2)
        pieces += [line[place : place + size] for place in range(0, len(line), size)] or [""]
    out: list[list[str]] = [[]]
    used = 0
    for piece in pieces:
        needed = rows(piece, width)
        if used + needed > room and out[-1]:
            out.append([])
            used = 0
        out[-1].append(piece)
        used += needed
    return out
