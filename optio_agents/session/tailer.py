"""The tailer: the actor that follows the log and tells the parser each window."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Never

import trio

import actors
from optio_agents.hosts.base import LogLost, LogReader, SessionHost, Window
from optio_agents.session.cursor import Cursor
from optio_agents.session.host_step import host_step
from optio_agents.session.reading import Reading, Signal

READER_RESTARTS = actors.Intensity(
    restarts=7, seconds=60.0, backoff=actors.Backoff(first=0.1), causes=(LogLost,)
)
"""For a log that cannot be read: 7 retries with backoff, about 11 s in all, enough for an SSH reconnect. Other failures
are not retried."""


async def tail(
    me: actors.Me[Never],
    host: SessionHost,
    cursor: Cursor,
    parser: actors.Ref[Reading],
    ends_session: Callable[[bytes], bool],
    room: Callable[[], Awaitable[None]],
    host_timeout: float,
) -> None:
    """Read from the cursor until the log ends, or contains what ends the session.

    Crowded queues are backpressure: unread lines stay in the file.

    Args:
        host: where the log is.
        cursor: the reading position.
        parser: receives each window.
        ends_session: whether an unterminated last line would end the session.
        room: waits for the queues.
        host_timeout: seconds that the host may take to open the log.

    Raises:
        HostTimeout: the host did not open it in time.
        LogLost: the log cannot be read now. The supervisor starts a new tailer, which resumes.
    """
    with host_step("open optio.log", host_timeout) as opening:
        async with host.open_log(cursor.position, settled=ends_session) as reader:
            opening.deadline = math.inf
            cursor.attach(reader)
            try:
                me.ready()
                if await _read_on(reader, cursor, parser, room):
                    return
            finally:
                cursor.attach(None)
    parser.try_tell(Signal.LOG_ENDED)


async def _read_on(
    reader: LogReader, cursor: Cursor, parser: actors.Ref[Reading], room: Callable[[], Awaitable[None]]
) -> bool:
    """Tell the parser each window. Returns whether the log contains what ends the session; otherwise it has ended.

    A window of one line is passed to the parser while this task sleeps. The task wakes if the parser needs a wait, and
    when held-back progress is due.
    """

    def take(window: Window) -> bool:
        data = window.data
        if window.cut or window.lost or window.growing or data.find(b"\n") != len(data) - 1:
            return False
        parser.try_tell(window)
        if cursor.needs_the_tailer:
            sleeping.cancel(reason="the parser needs the tailer")
        else:
            sleeping.deadline = cursor.due
        return True

    while not cursor.is_over:
        with trio.CancelScope(deadline=cursor.due) as sleeping:
            window = await reader.read(take)
            if window is None:
                return False
            parser.try_tell(window)
        if cursor.due <= trio.current_time():  # it may have moved while this task was waking
            parser.try_tell(Signal.FLUSH)
        while cursor.is_unfinished:
            await trio.lowlevel.checkpoint()
            parser.try_tell(Signal.GO_ON)
        await room()
    return True
