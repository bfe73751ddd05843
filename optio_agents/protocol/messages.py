"""Neighbouring CALLER_MESSAGE lines, read as one block.

A program that reports to its caller writes them by the thousand. Line by line, each costs more in Python's own
calls than its JSON does; as a block they are told apart by one regular expression and decoded in one go. The result
is what the parser makes of each line, which is also who reads them whenever the block is not wholly regular.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .payload import read_json_texts

WORTHWHILE: Final = 4
"""Lines from which on a block is faster than its lines."""

LONGEST: Final = 128
"""Lines in one block: what an irregular line among them costs is bounded."""

_BLOCK: Final = re.compile(rb"(?:CALLER_MESSAGE:[^\n]*+\n){%d,%d}+" % (WORTHWHILE, LONGEST))
_LINE: Final = re.compile(r"CALLER_MESSAGE:[^\S\n]*+(\S++)[^\S\n]++([^\n]++)\n")


@dataclass(frozen=True, slots=True)
class CallerMessages:
    """Keyword and data of each of some neighbouring lines."""

    messages: list[tuple[str, object]]


def find_block(data: bytes, start: int) -> int:
    """Where the block that begins at `start` ends: `start` itself if it is not worth it."""
    block = _BLOCK.match(data, start)
    return start if block is None else block.end()


def read_block(data: bytes, start: int, end: int) -> CallerMessages | None:
    """The messages of a block; `None` if one of its lines is not a regular one."""
    found: list[tuple[str, str]] = _LINE.findall(data[start:end].decode(errors="replace"))
    if len(found) != data.count(b"\n", start, end):
        return None
    values = read_json_texts([text for _, text in found])
    if values is None:
        return None
    return CallerMessages([(keyword, value) for (keyword, _), value in zip(found, values, strict=True)])
