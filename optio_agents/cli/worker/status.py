"""The status of a worker on a Unix socket: each connection gets one JSON object and is closed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optio_agents.cli.exit_codes import CommandFailure, ExitCode, UsageError
from optio_agents.cli.state_directory import state_directory
from optio_agents.cli.worker.servers import DEFAULT_DATABASE, parsed_url
from optio_agents.cli.worker.settings import WorkerSettings

PING_SECONDS = 2.0
"""How long a server may take to answer, before it counts as unreachable."""

ANSWER_SECONDS = 10.0
"""How long a worker may take to answer."""

REASON_LIMIT = 200
"""Characters of a reason."""

_logger = logging.getLogger("optio_agents.worker")


def socket_path(settings: WorkerSettings) -> Path:
    """Where the worker of these settings answers."""
    if settings.status_socket is not None:
        return Path(settings.status_socket)
    database = parsed_url(settings.mongo_url)["database"] or DEFAULT_DATABASE
    name = f"{quote(database, safe='')}-{quote(settings.prefix, safe='')}.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime, "optio-agents", name)
    return state_directory() / "workers" / name


def ask(path: Path) -> dict[str, Any]:
    """The status of the worker that answers at `path`.

    Raises:
        CommandFailure: none answers.
    """
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_SECONDS)
            client.connect(str(path))
            with client.makefile("rb") as answer:
                status: dict[str, Any] = json.loads(answer.read())
                return status
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CommandFailure(ExitCode.IO_ERROR, f"no worker answers at {path}: {reason}") from error


class Health:
    """Asks the servers of a worker whether they answer, over connections of its own.

    Args:
        settings: the worker's.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        from motor.motor_asyncio import AsyncIOMotorClient

        limit = int(PING_SECONDS * 1000)
        self._mongo: Any = AsyncIOMotorClient(
            settings.mongo_url,
            serverSelectionTimeoutMS=limit,
            connectTimeoutMS=limit,
            socketTimeoutMS=limit,
        )
        self._redis_url = settings.redis_url

    async def check(self) -> dict[str, str | None]:
        """For `mongo` and `redis`: `ok`, or why the server does not answer; None: the worker has no Redis."""
        mongo, redis = await asyncio.gather(
            _answer(self._ping_mongo), _answer(self._ping_redis if self._redis_url else None)
        )
        return {"mongo": mongo, "redis": redis}

    def close(self) -> None:
        """Close the connections."""
        self._mongo.close()

    async def _ping_mongo(self) -> None:
        await self._mongo.admin.command("ping")

    async def _ping_redis(self) -> None:
        from redis.asyncio import Redis

        async with Redis.from_url(str(self._redis_url)) as client:
            await client.ping()


async def _answer(ping: Callable[[], Awaitable[None]] | None) -> str | None:
    if ping is None:
        return None
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping()
    except TimeoutError:
        return f"no answer within {PING_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a driver's; what it is, the operator reads
        # The type alone: the text may hold the URL, with its password.
        return f"it cannot be reached: {type(error).__name__}"[:REASON_LIMIT]
    return "ok"


@asynccontextmanager
async def served_status(
    settings: WorkerSettings, status: Callable[[], Awaitable[dict[str, Any]]]
) -> AsyncIterator[None]:
    """Answer with `status()` on the socket while the block runs; only this user can connect.

    Without a place for the default socket, the worker works all the same, and says so in the log.

    Raises:
        UsageError: the socket of `settings` cannot be made, or another worker answers there.
    """
    path = socket_path(settings)
    try:
        listener = _listen(path)
    except OSError as error:
        text = f"no status socket at {path}: {error.strerror or error}; choose one with --status-socket"
        if settings.status_socket is not None:
            raise UsageError(text) from error
        _logger.warning("%s", text)
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(json.dumps(await status()).encode() + b"\n")
            await writer.drain()
        writer.close()

    try:
        async with await asyncio.start_unix_server(answer, sock=listener):
            yield
    finally:
        path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    """A socket bound to `path`, with mode 0600 from the beginning, in place of one whose worker is gone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(ANSWER_SECONDS)
            if path.is_socket() and other.connect_ex(str(path)) == 0:
                raise UsageError(
                    f"another worker answers at {path}: choose another place with --status-socket"
                )
        if path.is_socket():
            path.unlink()
        os.fchmod(listener.fileno(), 0o600)  # Linux gives the file the mode of the socket
        listener.bind(str(path))
    except BaseException:
        listener.close()
        raise
    return listener
