r"""Whole lines of a log in, ordered records out: the hot path of a session.

A log consists mostly of STATUS and plain lines. A session shows a few of them and counts the rest, so the scanner
does not visit every line. It searches a whole window of bytes for the lines that need more than counting, and turns
only those into objects. The lines between two of them become one `LineRun`, which is counted in place: at 5 GB/s
with `stringzilla`, at 1 to 2 GB/s with `bytes.count` where that is missing.

Lines that need more than counting begin with a control keyword or are blank. (A blank line is not a message and must
not be counted.) There are two finders:

- One regular expression. It begins with a literal newline, because `re` then skips from newline to newline with
  `memchr`. With `^` and MULTILINE it would be eight times slower. The byte after the newline is tested as one set,
  which rejects most lines in one step.
- If the optional `ahocorasick_rs` is installed, a search for all beginnings at once, two to four times faster. It
  cannot distinguish a blank line from an indented one, so windows full of either make it slow. The scanner then
  returns to the expression for a while.

A finder may report too many places, never too few: the parser alone decides what a line means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from typing import Final

from optio_agents.protocol.byte_strings import count
from optio_agents.protocol.events import DoneEvent, ErrorEvent, LogEvent, StatusEvent, UnknownLine
from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.keywords import enabled_keywords
from optio_agents.protocol.line_run import LineRun
from optio_agents.protocol.messages import CallerMessages, find_block, read_block
from optio_agents.protocol.parser import line_parser

try:
    import ahocorasick_rs
except ImportError:
    ahocorasick_rs = None

Record = LineRun | CallerMessages | LogEvent
"""What `Scanner.scan` returns in order: runs, blocks of messages to the caller, and the events of other control
lines."""

Finder = Callable[[bytes, int], Iterable[int]]
"""Returns, in order, the places of newlines from the given one on after which a line may need more than counting.
After an empty line it may leave out the next place."""

_NEWLINE: Final = ord("\n")
_EMPTY_LINES: Final = re.compile(rb"\n*+")
_IN_A_RUN: Final = (UnknownLine, StatusEvent)
_LAST: Final = (DoneEvent, ErrorEvent)
# Reported lines in one window that are not control lines, before the scanner suspends the fast finder.
_FUTILE_LIMIT: Final = 64
_FUTILE_PAUSE: Final = 32  # windows for which it is suspended
_MESSAGES_PER_LINE: Final = 4  # this many messages of a block cost as much as one other line


class Scanner:
    """Finds the control lines of one log, in windows of whole lines.

    Args:
        features: which of the optional keywords are enabled.
        every: let each `LineRun.first` contain every line, for callers that want them all.
    """

    def __init__(self, features: ProtocolFeatures, *, every: bool = False) -> None:
        self._parse = line_parser(features)
        self._steady = _expression_finder(features)
        self._fast = _automaton_finder(features)
        self._fast_pause = 0
        self._has_messages = features.caller_messages
        self._every = every
        self.consumed = 0
        """The position that the last `scan` reached: the end, unless its limit was reached or the log ended."""
        self.ended = False
        """Whether DONE or ERROR was seen. Nothing after it is read."""

    def scan(self, data: bytes, start: int = 0, *, limit: int | None = None) -> list[Record]:
        r"""Turn whole lines into records, in order.

        Args:
            data: lines that each end with `b"\n"`. Bytes that are not UTF-8 are replaced after splitting.
            start: the position of the first line.
            limit: how many lines may be examined one by one before this returns. The next call continues at
                `consumed`. `None`: all.

        Returns:
            Events of control lines, and runs of the lines between them. Blank lines are left out. The first DONE
            or ERROR is the last record. `consumed` is then the end of its line, and every later call returns
            nothing.
        """
        self.consumed = start
        records: list[Record] = []
        if self.ended or start == len(data):
            return records
        parse, index, size = self._parse, data.index, len(data)
        left = size if limit is None else limit
        blanks = futile = 0
        run_start = line_start = start  # where the current line begins; everything before it is done
        block_end = 0  # of the block of messages that was found last
        has_messages = self._has_messages
        if has_messages:
            line_start = run_start = block_end = self._take_blocks(records, data, start, left)
            self.consumed = line_start
            left -= sum(_messages(block) for block in records) // _MESSAGES_PER_LINE
            if line_start == size or left <= 0:
                return records
        for place in chain((line_start - 1,), self._places(data, start)):
            if place + 1 < line_start:
                continue
            if left <= 0:
                break
            left -= 1
            line_start = place + 1
            if data[line_start] == _NEWLINE:
                empty_end = _EMPTY_LINES.match(data, line_start).end()  # type: ignore[union-attr]
                blanks += empty_end - line_start
                futile += empty_end - line_start
                line_start = empty_end
                if line_start == size:
                    break
            if has_messages and line_start >= block_end:
                block_end = find_block(data, line_start)
                if block_end > line_start and (block := read_block(data, line_start, block_end)) is not None:
                    if run_start < line_start:
                        self._close_run(records, data, run_start, line_start, blanks)
                    records.append(block)
                    left -= block.count // _MESSAGES_PER_LINE
                    line_start, run_start, blanks = block_end, block_end, 0
                    if line_start == size:
                        break
                    continue
            line_end = index(b"\n", line_start)
            text = data[line_start:line_end].decode(errors="replace")
            event = parse(text)
            if not isinstance(event, _IN_A_RUN):
                if run_start < line_start:
                    self._close_run(records, data, run_start, line_start, blanks)
                records.append(event)
                run_start, blanks = line_end + 1, 0
                if isinstance(event, _LAST):
                    self.ended = True
                    self.consumed = run_start
                    return records
            elif text.isspace():
                blanks += 1
            else:
                futile += 1
            line_start = line_end + 1
            if line_start == size:
                break
        end = size if left > 0 else line_start
        if run_start < end:
            self._close_run(records, data, run_start, end, blanks)
        self.consumed = end
        if futile > _FUTILE_LIMIT:
            self._fast_pause = _FUTILE_PAUSE
        return records

    def _take_blocks(self, records: list[Record], data: bytes, start: int, left: int) -> int:
        """Read the blocks of messages at the beginning; return where they end.

        A flood of messages fills whole windows, which then need no finder.
        """
        while left > 0 and (end := find_block(data, start)) > start:
            block = read_block(data, start, end)
            if block is None:
                break
            records.append(block)
            left -= block.count // _MESSAGES_PER_LINE
            start = end
        return start

    def _places(self, data: bytes, start: int) -> Iterable[int]:
        if self._fast is None or start:
            return self._steady(data, start)  # it is lazy, the fast one finds all places at once
        if self._fast_pause:
            self._fast_pause -= 1
            return self._steady(data, start)
        return self._fast(data, start)

    def _close_run(self, records: list[Record], data: bytes, start: int, end: int, blanks: int) -> None:
        if lines := count(data, b"\n", start, end) - blanks:
            records.append(LineRun(data, start, end, lines, self._parse, every=self._every))


def _messages(record: Record) -> int:
    return record.count if isinstance(record, CallerMessages) else 0


def _control_prefixes(features: ProtocolFeatures) -> list[bytes]:
    """The beginnings of control lines. STATUS is not one of them: it is counted like plain text."""
    return [
        keyword.name.encode() + (b"" if keyword.bare else b":")
        for keyword in enabled_keywords(features)
        if keyword.name != "STATUS"
    ]


def _spaces() -> list[bytes]:
    """Every character that makes a line blank, in UTF-8, newline included."""
    return [chr(code).encode() for code in range(0x3001) if chr(code).isspace()]


@lru_cache(maxsize=64)
def _expression_finder(features: ProtocolFeatures) -> Finder:
    prefixes = _control_prefixes(features)
    capitals = b"".join(sorted({prefix[:1] for prefix in prefixes}))
    rests = b"|".join(sorted({re.escape(prefix[1:]) for prefix in prefixes}))
    narrow = re.escape(b"".join(space for space in _spaces() if space.isascii() and space != b"\n"))
    wide_leads = b"".join(sorted({space[:1] for space in _spaces() if not space.isascii()}))
    expression = re.compile(
        b"\\n[%b\\n%b%b](?:%b|(?<=\\n)|(?<![%b])[%b\\x80-\\xff]*+(?=\\n))"
        % (capitals, narrow, wide_leads, rests, capitals, narrow)
    )
    return lambda data, start: (found.start() for found in expression.finditer(data, max(0, start - 1)))


@lru_cache(maxsize=64)
def _automaton_finder(features: ProtocolFeatures) -> Finder | None:
    if ahocorasick_rs is None:
        return None
    narrow = [b"\n" + start for start in (*_control_prefixes(features), *_spaces()) if start.isascii()]
    wide = [b"\n" + space for space in _spaces() if not space.isascii()]
    find_narrow = ahocorasick_rs.BytesAhoCorasick(narrow).find_matches_as_indexes
    find_wide = ahocorasick_rs.BytesAhoCorasick(narrow + wide).find_matches_as_indexes

    def find(data: bytes, start: int) -> Iterable[int]:
        # Fewer patterns are faster, and most windows are ASCII.
        return [start for _, start, _ in (find_narrow if data.isascii() else find_wide)(data)]

    return find
