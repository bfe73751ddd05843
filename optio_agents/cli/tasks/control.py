"""Orders to a worker, by optio's contract `optio-engine` over Redis: the way that the dashboard takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from optio_agents.cli.exit_codes import CommandFailure, ExitCode, UsageError
from optio_agents.cli.worker.servers import DEFAULT_DATABASE, parsed_url, unreachable
from optio_agents.cli.worker.settings import WorkerSettings

ANSWER_SECONDS = 10.0
"""How long a worker may take to answer."""

STOP_SECONDS = 0.2
"""How long the client's reader may take to end before it is cancelled again."""

REASONS = {
    "not-found": "there is no such task",
    "not-launchable": "it is running already",
    "not-cancellable": "it is not running",
    "no-resume-support": "it cannot be resumed",
    "launch-blocked": "launches are blocked",
    "shutting-down": "the worker is shutting down",
    "parameters-required": "it needs parameters: --params",
    "not-a-factory": "it takes no parameters",
}
"""What the refusals of the contract mean."""


class Control:
    """A worker that listens. Made by `open_control`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def launch(
        self, process_id: str, *, resume: bool = False, params: dict[str, Any] | None = None
    ) -> None:
        """Launch a task, or resume it.

        Raises:
            CommandFailure: the worker refuses, or does not answer.
        """
        order: dict[str, Any] = {"processId": process_id, "resume": resume, "sessionId": None}
        if params is not None:
            order["params"] = params
        await self._order("launch", process_id, order)

    async def cancel(self, process_id: str) -> None:
        """Cancel a task.

        Raises:
            CommandFailure: the worker refuses, or does not answer.
        """
        await self._order("cancel", process_id, {"processId": process_id})

    async def _order(self, name: str, process_id: str, order: dict[str, Any]) -> None:
        from clamator_protocol import ClamatorTransportError, RpcError

        try:
            answer = await self._client.call(
                "optio-engine", name, order, timeout_ms=int(ANSWER_SECONDS * 1000)
            )
        except ClamatorTransportError as error:
            raise CommandFailure(
                ExitCode.IO_ERROR,
                f"no worker answered within {ANSWER_SECONDS:g} seconds ({error}); "
                "one that starts later may still carry the order out",
            ) from error
        except RpcError as error:
            raise CommandFailure(
                ExitCode.ERROR, f"the worker could not {name} {process_id}: {error}"
            ) from error
        if not answer.get("ok"):
            reason = str(answer.get("reason"))
            text = answer.get("message") or REASONS.get(reason, reason)
            raise CommandFailure(ExitCode.ERROR, f"{process_id}: {text}")


@asynccontextmanager
async def started(client: Any) -> AsyncIterator[Any]:
    """Start `client` for the block.

    Its `stop` cancels its reader once and waits for it without limit; redis-py loses a cancellation that arrives as a
    read times out. So the reader is cancelled again until it has ended.
    """
    import asyncio

    before = asyncio.all_tasks()
    await client.start()
    readers = asyncio.all_tasks() - before
    try:
        yield client
    finally:
        stopping = asyncio.ensure_future(client.stop())
        while not (await asyncio.wait({stopping}, timeout=STOP_SECONDS))[0]:
            for reader in readers:
                reader.cancel()
        await stopping


@asynccontextmanager
async def open_control(settings: WorkerSettings) -> AsyncIterator[Control]:
    """Connect to the worker of the settings' database and prefix, while the block runs.

    Raises:
        UsageError: there is no Redis in the settings.
        CommandFailure: it cannot be reached.
    """
    from clamator_over_redis import RedisRpcClient
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    if settings.redis_url is None:
        raise UsageError(
            "no Redis: set OPTIO_AGENTS_REDIS_URL, or redis_url in the file of --config; orders go over it"
        )
    database = parsed_url(settings.mongo_url)["database"] or DEFAULT_DATABASE
    redis: Any = Redis.from_url(settings.redis_url, socket_connect_timeout=ANSWER_SECONDS)
    try:
        await redis.ping()
        async with started(RedisRpcClient(redis=redis, key_prefix=f"{database}/{settings.prefix}")) as client:
            yield Control(client)
    except (RedisError, OSError) as error:
        raise unreachable("Redis", settings.redis_url, error) from error
    finally:
        await redis.aclose()
