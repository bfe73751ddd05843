"""Neighbouring CALLER_MESSAGE lines, read as one block.

A program that reports to its caller may write thousands of them. Read line by line, each costs more in Python calls
than in decoding its JSON. If all messages of a window are decoded at once, they become thousands of containers, and
the garbage collector traverses them repeatedly while they wait for their callback: that was a third of the cost of a
message. Therefore a block stays text until its messages are delivered. The parser must still know at once whether a
line is a message, because other lines are plain text. Checking JSON takes half as long as decoding it.

A block and the parser agree on the meaning of each line. If a line is irregular, the parser reads the whole block.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from optio_agents.protocol.byte_strings import count
from optio_agents.protocol.payload import check_json_lines, read_json_lines

LONGEST: Final = 128
"""Lines in one block. The limit bounds the cost of an irregular line and the amount decoded at once. The garbage
collector runs after 700 new containers, and those of a block should be released before that."""

LARGEST: Final = 32 * 1024
"""Bytes in one block."""

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
        """A single message whose data are already decoded."""
        return cls([keyword], json.dumps(data))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.keywords)

    @property
    def messages(self) -> list[tuple[str, object]]:
        """Keyword and data of each, decoded on every access."""
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
        # More than one keyword: the regular expression separates them and takes twice as long.
        parts = _START.split(text)
        keywords, lines = parts[1::2], parts[2::2]
    if len(lines) != size or not check_json_lines(lines):
        return None
    return CallerMessages(keywords, "\n".join(lines))
