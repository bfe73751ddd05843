"""The answer to `GET events`: server-sent events, first a replay, then live."""

from __future__ import annotations

from typing import Final

import trio
from starlette.types import Receive, Scope, Send

from optio_agents.web.event_log import PING, FellBehind, backlog_end, backlog_start, event_frame
from optio_agents.web.feed import ConversationFeed

PING_SECONDS: Final = 15.0
"""A comment is sent so often while nothing happens, so that a connection that is gone is noticed."""

PIECE: Final = 256 * 1024
"""Bytes that are written at once, about."""

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream:
    """One viewer. An ASGI application that answers one request."""

    def __init__(self, feed: ConversationFeed, after: int | None) -> None:
        self._feed = feed
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the viewer goes, the feed ends, or the viewer does not read."""
        with self._feed.viewing():
            await self._answer(receive, send)

    async def _answer(self, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:

            async def wait_for_its_end() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                nursery.cancel_scope.cancel(reason="the viewer has gone")

            nursery.start_soon(wait_for_its_end)
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._stream(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            nursery.cancel_scope.cancel(reason="the stream has ended")

    async def _stream(self, send: Send) -> None:
        """Write everything."""
        feed = self._feed
        events = feed.log.replay(self._after)
        position = feed.log.position
        start = self._after or 0
        frames = [backlog_start(start), *map(event_frame, events), backlog_end(feed.log.number)]
        await self._write(send, frames)
        while not (feed.ended and feed.log.position <= position):
            with trio.move_on_after(PING_SECONDS):
                await feed.wait(position)
            try:
                live = feed.log.since(position)
            except FellBehind:
                return  # It connects again, with the last number that it saw.
            position += len(live)
            await self._write(send, [event_frame(event) for event in live] or [PING])

    async def _write(self, send: Send, frames: list[bytes]) -> None:
        piece: list[bytes] = []
        size = 0
        for frame in [*frames, b""]:
            if piece and (size + len(frame) > PIECE or not frame):
                await send({"type": "http.response.body", "body": b"".join(piece), "more_body": True})
                piece, size = [], 0
            piece.append(frame)
            size += len(frame)
