"""Neighbouring CALLER_MESSAGE lines, read as one block.

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

from optio_agents.protocol.byte_strings import count
from optio_agents.protocol.payload import check_json_lines, read_json_lines

LONGEST: Final = 128
"""Lines in one block: what an irregular line among them costs is bounded, and so is what is decoded at once. The
garbage collector looks at new containers whenever there are 700 more of them, and these are to be gone by then."""

LARGEST: Final = 32 * 1024
"""Bytes in one block. Larger messages fill it before they are many."""

_BLOCK: Final = re.compile(rb"(?:CALLER_MESSAGE:[^\n]*+\n){1,%d}+" % LONGEST)
_START: Final = re.compile(r"\nCALLER_MESSAGE:[^\S\n]*+(\S++)[^\S\n]++")


@dataclass(frozen=True, slots=True)
class CallerMessages:
    """Some neighbouring messages."""

    keywords: list[str]
    texts: str
    """The data of each in JSON, one a line."""

    @classmethod
    def of_one(cls, keyword: str, data: object) -> CallerMessages:
        """A single message, whose data were read already."""
        return cls([keyword], json.dumps(data))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.keywords)

    @property
    def messages(self) -> list[tuple[str, object]]:
        """Keyword and data of each, decoded anew."""
        return list(zip(self.keywords, read_json_lines(self.texts), strict=True))


def find_block(data: bytes, start: int) -> int:
    """Where the block that begins at `start` ends: `start` itself if there is none."""
    block = _BLOCK.match(data, start, start + LARGEST)
    return start if block is None else block.end()


def read_block(data: bytes, start: int, end: int) -> CallerMessages | None:
    """The messages of a block that was found; `None` if one of its lines is not a regular one."""
    text = "\n" + data[start : end - 1].decode(errors="replace")
    size = count(data, b"\n", start, end)
    if (first := _START.match(text)) is None:
        return None
    keywords = [first[1]] * size
    lines = text.split(first[0])[1:]
    if len(lines) != size:
        # More than one keyword: an expression tells them apart, and takes twice as long.
        parts = _START.split(text)
        keywords, lines = parts[1::2], parts[2::2]
    if len(lines) != size or not check_json_lines(lines):
        return None
    return CallerMessages(keywords, "\n".join(lines))
