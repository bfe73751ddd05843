"""The position in the log up to which it is read, for the tailer and the parser."""

from __future__ import annotations

from math import inf

from optio_agents.hosts.base import LOG_START, LogPosition, LogReader


class Cursor:
    """The reading position. It outlives the tailer: a restarted one continues here, so each line is handled once.

    The parser moves it after it has handled a window, and notes here what the tailer must wait for.
    """

    def __init__(self) -> None:
        self.position: LogPosition = LOG_START
        self.due = inf
        """When held-back progress must be reported, on Trio's clock; infinity if there is none."""
        self.is_unfinished = False
        """The tailer must request the rest of a large window, after other tasks had their turn."""
        self.needs_room = False
        """The tailer must wait: a queue is over its high-water mark."""
        self.is_over = False
        """The log contains what ends the session. Nothing after it counts."""
        self._finishing = False
        self._reader: LogReader | None = None

    @property
    def needs_the_tailer(self) -> bool:
        """Whether the tailer has to wait for something, or to end."""
        return self.is_unfinished or self.needs_room or self.is_over

    def finish(self) -> None:
        """Nothing more will be written: read to the end, then tell the resolver. Idempotent."""
        self._finishing = True
        if self._reader is not None:
            self._reader.finish()

    def attach(self, reader: LogReader | None) -> None:
        """A tailer has opened (or closed, `None`) its reader."""
        self._reader = reader
        if reader is not None and self._finishing:
            reader.finish()
