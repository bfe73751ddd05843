"""Neighbouring CALLER_MESSAGE lines with one keyword, read as one block.

A program that reports to its caller writes them by the thousand. Line by line, each costs more in Python's own calls
than its JSON does. Decoded at once, the messages of a window are thousands of containers, and Python's garbage
collector walks them over and over while they wait for their callback: that was a third of what a message cost. So a
block stays text until its messages are handed over. Whether a line is a message has to be known at once all the same
(what is none is a plain line of the log), but to check JSON takes half as long as to decode it.

A block says what the parser makes of each of its lines. If one of them is irregular, the parser reads them all.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from .payload import check_json_lines, read_json_lines

LONGEST: Final = 128
"""Lines in one block: what an irregular line among them costs is bounded, and so is what is decoded at once. The
garbage collector looks at new containers whenever there are 700 more of them, and these are to be gone by then."""

LARGEST: Final = 32 * 1024
"""Bytes in one block. Larger messages fill it before they are many."""

_KEYWORD: Final = b"CALLER_MESSAGE:"
_START: Final = re.compile(rb"%b[^\S\n]*+\S++[^\S\n]++" % _KEYWORD)
_BLOCK: Final = re.compile(rb"(%b)[^\n]++\n(?:\1[^\n]++\n){0,%d}+" % (_START.pattern, LONGEST - 1))


@dataclass(frozen=True, slots=True)
class CallerMessages:
    """Some neighbouring messages with one keyword."""

    keyword: str
    texts: str
    """The data of each in JSON, one a line."""
    count: int
    """How many they are."""

    @classmethod
    def of_one(cls, keyword: str, data: object) -> CallerMessages:
        """A single message, whose data were read already."""
        return cls(keyword, json.dumps(data), 1)

    @property
    def messages(self) -> list[tuple[str, object]]:
        """Keyword and data of each, decoded anew."""
        return [(self.keyword, data) for data in read_json_lines(self.texts)]


def find_block(data: bytes, start: int) -> int:
    """Where the block that begins at `start` ends: `start` itself if there is none."""
    block = _BLOCK.match(data, start, start + LARGEST)
    return start if block is None else block.end()


def read_block(data: bytes, start: int, end: int) -> CallerMessages | None:
    """The messages of a block that was found; `None` if one of its lines is not a regular one."""
    found = _START.match(data, start)
    assert found is not None
    before = found.group().decode(errors="replace")
    keywords = before[len(_KEYWORD) :].split()
    if len(keywords) != 1:
        return None  # there is white space in it that only text knows: bytes have fewer kinds
    lines = data[found.end() : end - 1].decode(errors="replace").split("\n" + before)
    if not check_json_lines(lines):
        return None
    return CallerMessages(keywords[0], "\n".join(lines), len(lines))
