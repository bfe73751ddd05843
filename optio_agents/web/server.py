"""Serving the application on Trio, for as long as a block runs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.types import ASGIApp

SHUTDOWN_SECONDS = 2.0
"""For answers that are being written when the block is left; event streams are simply ended."""


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
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.accesslog = None
    config.errorlog = logging.getLogger("optio_agents.web")
    config.graceful_timeout = SHUTDOWN_SECONDS
    config.shutdown_timeout = SHUTDOWN_SECONDS
    config.include_server_header = False
    config.keep_alive_timeout = 60
    over = trio.Event()
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve(app, config, shutdown_trigger=over.wait, task_status=task_status)  # type: ignore[arg-type]

        [url, *_] = await nursery.start(run)
        try:
            yield Listening(url)
        except Exception as error:  # noqa: BLE001 - raised again below, outside of the nursery
            failure = error
        over.set()
        nursery.cancel_scope.cancel(reason="the listener's block has ended")
    if failure is not None:
        raise failure
