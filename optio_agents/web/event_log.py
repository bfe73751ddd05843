"""The events of a conversation as viewers get them: numbered, replayed from a number on, framed. Sans-IO.

All viewers read one ring, each from a position of its own, so that a viewer that does not read costs no memory. A
viewer that falls out of the ring is disconnected, and connects again with the last number that it saw.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

REPLAY_EVENTS: Final = 1_000
"""How many events a viewer gets that connects for the first time."""

RING_BYTES: Final = 8 * 1024 * 1024
"""Bytes of events that are kept for the replay and for slow viewers."""

EVENT_LIMIT: Final = 1024 * 1024
"""Bytes of one event; of a larger one, only its kind is passed on."""


class LoggedEvent(NamedTuple):
    """One event as a viewer gets it."""

    position: int
    """Its place among all events, partial ones included."""
    number: int
    """Its id as a server-sent event; a partial event has that of the last whole one."""
    data: bytes
    """One line of JSON."""
    partial: bool
    """It is a piece of a text whose whole comes in a later event: live only, never replayed."""


class FellBehind(Exception):  # noqa: N818 - named for what happened
    """The viewer did not read for so long that events for it are gone. The viewer's fault; it may connect again."""


class EventLog:
    """The ring of events.

    Args:
        replay_events: how many whole events are kept.
        ring_bytes: how many bytes of events are kept.
    """

    def __init__(self, replay_events: int = REPLAY_EVENTS, ring_bytes: int = RING_BYTES) -> None:
        self._whole: deque[LoggedEvent] = deque(maxlen=replay_events)
        self._ring: deque[LoggedEvent] = deque()
        self._bytes = 0
        self._ring_bytes = ring_bytes
        self.position = 0
        """The position of the next event."""
        self.number = 0
        """The number of the last whole event."""

    def append(self, raw: Mapping[str, Any]) -> LoggedEvent:
        """Add an event of a backend, or one of ours."""
        partial = is_partial(raw)
        data = _encoded(raw)
        if not partial:
            self.number += 1
        event = LoggedEvent(self.position, self.number, data, partial)
        self.position += 1
        self._ring.append(event)
        self._bytes += len(data)
        while self._bytes > self._ring_bytes and len(self._ring) > 1:
            self._bytes -= len(self._ring.popleft().data)
        if not partial:
            self._whole.append(event)
            while self._whole and self._whole[0].position < self._ring[0].position:
                self._whole.popleft()
        return event

    def replay(self, after: int | None = None) -> list[LoggedEvent]:
        """The whole events that are kept, or those of them after the number `after`."""
        if after is None or after > self.number:
            return list(self._whole)
        return [event for event in self._whole if event.number > after]

    def since(self, position: int) -> list[LoggedEvent]:
        """The events from `position` on.

        Raises:
            FellBehind: the first of them is gone.
        """
        count = self.position - position
        if count > len(self._ring):
            raise FellBehind
        return [self._ring[index] for index in range(len(self._ring) - count, len(self._ring))]


def is_partial(raw: Mapping[str, Any]) -> bool:
    """Whether the event is a piece of a text that comes again as a whole.

    Claude Code sends `stream_event`s before the `assistant` message, Codex deltas before the completed item. ACP agents
    send nothing but pieces, so those count as whole.
    """
    if raw.get("type") == "stream_event":
        return True
    method = raw.get("method")
    return isinstance(method, str) and (method.endswith(("/delta", "Delta")))


def event_frame(event: LoggedEvent) -> bytes:
    """The event as a server-sent event."""
    return b"id: %d\ndata: %b\n\n" % (event.number, event.data)


def backlog_start(after: int) -> bytes:
    """The mark before a replay of what came after the number `after`."""
    return b'event: backlog-start\ndata: {"after": %d}\n\n' % after


def backlog_end(number: int) -> bytes:
    """The mark after a replay that ends with `number`."""
    return b'event: backlog-end\ndata: {"seq": %d}\n\n' % number


PING: Final = b": ping\n\n"


def _encoded(raw: Mapping[str, Any]) -> bytes:
    try:
        data = json.dumps(raw, separators=(",", ":"), default=str).encode()
    except (ValueError, RecursionError):
        data = b""
    if data and len(data) <= EVENT_LIMIT:
        return data
    kind = raw.get("type") or raw.get("method") or ""
    return json.dumps({"type": "x-optio-too-large", "of": str(kind)[:200]}).encode()
