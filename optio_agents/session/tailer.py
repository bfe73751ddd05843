"""The tailer: the actor that reads the log and hands windows of whole lines to the parser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Never, TypeAlias

import actors
from optio_agents.hosts.base import LOG_START, LogPosition, LogReader, SessionHost, Window


class EndOfLog:
    """The log was read to its end after the last writer had gone."""


END_OF_LOG = EndOfLog()

LogPiece: TypeAlias = Window | EndOfLog


class Cursor:
    """Where reading stands. It outlives the tailer: a restarted one goes on here, so each line is handled once."""

    def __init__(self) -> None:
        self.position: LogPosition = LOG_START
        self._finishing = False
        self._reader: LogReader | None = None

    def finish(self) -> None:
        """Nothing more will be written: read to the end, then tell the parser. Idempotent."""
        self._finishing = True
        if self._reader is not None:
            self._reader.finish()

    def attach(self, reader: LogReader | None) -> None:
        """A tailer has opened (or closed, `None`) its reader."""
        self._reader = reader
        if reader is not None and self._finishing:
            reader.finish()


async def tail(
    me: actors.Me[Never],
    host: SessionHost,
    cursor: Cursor,
    parser: actors.Ref[LogPiece],
    settled: Callable[[bytes], bool],
) -> None:
    """Read on from the cursor until the log ends.

    A full parser is backpressure: what is not read stays in the file.

    Raises:
        LogLost: the log cannot be read at present. The supervisor starts a new tailer, which resumes.
    """
    # A parser that has seen DONE or ERROR has ended: nothing after it counts.
    with suppress(actors.ActorStopped):
        async with host.open_log(cursor.position, settled=settled) as reader:
            cursor.attach(reader)
            try:
                me.ready()
                while (window := await reader.read()) is not None:
                    await parser.tell(window)
                    cursor.position = window.end
            finally:
                cursor.attach(None)
        await parser.tell(END_OF_LOG)
