"""Serving the application on Trio, for as long as a block runs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from starlette.types import ASGIApp

WRITE_SECONDS: Final = 30.0
"""A viewer that does not take what is written to it for so long is disconnected."""

KEEP_ALIVE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a listener listens: `http://127.0.0.1:40123`."""

    url: str


@asynccontextmanager
async def listening(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Listening]:
    """Serve `app` while the block runs.

    Args:
        app: the application.
        host: the address to listen on; the default is this machine only.
        port: the port; 0 takes a free one.

    Raises:
        OSError: the address cannot be used.
    """
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("optio_agents.web")
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    wrapped, context = ASGIWrapper(app), WorkerContext(None)  # type: ignore[arg-type]
    connections: set[_Connection] = set()
    failure: Exception | None = None

    async def serve(stream: trio.SocketStream) -> None:
        connection = _Connection(stream)
        connections.add(connection)
        try:
            await TCPServer(wrapped, config, context, {}, connection)  # type: ignore[arg-type]
        finally:
            connections.discard(connection)

    listeners = await trio.open_tcp_listeners(port, host=host)
    address = listeners[0].socket.getsockname()
    name = f"[{address[0]}]" if ":" in address[0] else address[0]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, listeners)
        try:
            yield Listening(f"http://{name}:{address[1]}")
        except Exception as error:  # noqa: BLE001 - raised again below, outside of the nursery
            failure = error
        finally:
            # hypercorn shields what it writes: a viewer that does not read would hold up the end.
            for connection in connections:
                connection.close()
            nursery.cancel_scope.cancel(reason="the listener's block has ended")
    if failure is not None:
        raise failure


class _Connection:
    """A connection as hypercorn uses it, with a limit on each write: hypercorn shields its writes, without one."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.socket = stream.socket

    async def send_all(self, data: bytes) -> None:
        with trio.move_on_after(WRITE_SECONDS) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.close()
            raise trio.BrokenResourceError("the viewer does not read")

    async def receive_some(self, limit: int) -> Any:
        return await self._stream.receive_some(limit)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def close(self) -> None:
        """Close it at once, also under a write."""
        self.socket.close()
