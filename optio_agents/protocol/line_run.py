"""A run: the lines between two control lines, as a view of their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TypeAlias

from optio_agents.protocol.events import LogEvent, StatusEvent, UnknownLine

Message: TypeAlias = tuple[int | None, str]
"""The content of one line of a run: a percentage or `None`, and a text."""

FIRST_LIMIT = 11
"""Messages in `LineRun.first`: one more than optio-core passes on within a tenth of a second."""


class LineRun:
    """Neighbouring STATUS and plain lines, blank ones not counted.

    A run is a view: it keeps the window's bytes alive and decodes lines on demand only, because a session shows
    at most a dozen lines of a run of thousands. `count` is the number of lines, at least one.
    """

    def __init__(
        self, data: bytes, start: int, end: int, count: int, parse: Callable[[str], LogEvent], *, every: bool
    ) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._parse = parse
        self._every = every
        self.count = count

    @cached_property
    def first(self) -> tuple[Message, ...]:
        """The first `FIRST_LIMIT` messages, or all of them if the scanner was asked for every line."""
        limit = self.count if self._every else FIRST_LIMIT
        return tuple(message_of(line) for line, _ in zip(self.lines(), range(limit), strict=False))

    @cached_property
    def last(self) -> Message:
        """The last message."""
        end = self._end
        while True:
            start = self._data.rfind(b"\n", self._start, end - 1) + 1 or self._start
            if (line := self._line(start, end - 1)) is not None:
                return message_of(line)
            end = start

    def lines(self) -> Iterator[StatusEvent | UnknownLine]:
        """Every line of the run, decoded one at a time."""
        start = self._start
        while start < self._end:
            end = self._data.index(b"\n", start)
            if (line := self._line(start, end)) is not None:
                yield line
            start = end + 1

    def _line(self, start: int, end: int) -> StatusEvent | UnknownLine | None:
        """The line in these bytes, or `None` if it is blank."""
        text = self._data[start:end].decode(errors="replace")
        if not text or text.isspace():
            return None
        event = self._parse(text)
        assert isinstance(event, StatusEvent | UnknownLine), "the scanner keeps control lines out of runs"
        return event

    def __repr__(self) -> str:
        return f"<LineRun of {self.count} lines>"


def message_of(line: StatusEvent | UnknownLine) -> Message:
    """The progress message of one line of a run."""
    if isinstance(line, StatusEvent):
        return line.percent, line.message
    return None, line.text
