"""The tailer: the actor that follows the log. What it reads, the parser puts where it belongs, at once."""

from __future__ import annotations

from typing import Never

import trio

import actors
from optio_agents.hosts.base import LOG_START, LogLost, LogPosition, LogReader, SessionHost, Window
from optio_agents.session.parser import Parser

READER_RESTARTS = actors.Intensity(
    restarts=7, seconds=60.0, backoff=actors.Backoff(first=0.1), causes=(LogLost,)
)
"""A log that cannot be read is tried again this often before the session fails: for about eleven seconds in all,
which a dropped connection needs to come back. A failure of anything else is not tried again."""


class Cursor:
    """Where reading stands. It outlives the tailer: a restarted one goes on here, so each line is handled once."""

    def __init__(self) -> None:
        self.position: LogPosition = LOG_START
        self._finishing = False
        self._reader: LogReader | None = None

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


async def tail(me: actors.Me[Never], host: SessionHost, cursor: Cursor, parser: Parser) -> None:
    """Read on from the cursor until the log ends, or holds what ends the session.

    Crowded queues are backpressure: what is not read stays in the file.

    Raises:
        LogLost: the log cannot be read at present. The supervisor starts a new tailer, which resumes.
    """
    async with host.open_log(cursor.position, settled=parser.ends_session) as reader:
        cursor.attach(reader)
        try:
            me.ready()
            while (window := await _next_window(reader, cursor, parser)) is not None:
                fact = await parser.take(window)
                cursor.position = window.end
                await parser.see_to_queues()
                if fact is not None:
                    parser.tell(fact)
                    return
                await parser.room()
        finally:
            cursor.attach(None)
    parser.end()


async def _next_window(reader: LogReader, cursor: Cursor, parser: Parser) -> Window | None:
    """Read on to the next window that is more than progress. Held-back progress goes out when it is due."""

    def take(window: Window) -> bool:
        if not parser.take_progress(window):
            return False
        cursor.position = window.end
        flushing.deadline = parser.due
        return True

    while True:
        with trio.CancelScope(deadline=parser.due) as flushing:
            return await reader.read(take)
        if parser.due <= trio.current_time():  # it may have been put off while this task was being woken
            parser.flush()
