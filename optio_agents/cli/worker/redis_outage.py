"""Commands from the dashboard after an outage of Redis.

optio-core's server reads them from a stream as a consumer group. A Redis that restarts without its data has neither:
each read fails then, ten times a second with a traceback, and the worker hears nothing until it is restarted. While
Redis is away, reads fail at the same rate.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

RETRY_SECONDS = 1.0
"""Between two attempts to reach Redis."""

_logger = logging.getLogger("optio_agents.worker")


def outlast_redis_outages(redis: Any) -> None:
    """Have the reads of a consumer group outlast an outage of Redis: `redis.xreadgroup` is replaced.

    A group that is lost is created again, from the start of its stream: what was sent since is heard. A Redis that
    cannot be reached is one line in the log, and one when it is back.

    Args:
        redis: the client, redis-py's for asyncio.
    """
    from redis.exceptions import ConnectionError as Unreachable, ResponseError, TimeoutError as NoAnswer

    read, is_away = redis.xreadgroup, False

    async def xreadgroup(groupname: Any, consumername: Any, streams: dict[Any, Any], **options: Any) -> Any:
        nonlocal is_away
        try:
            entries = await read(groupname, consumername, streams, **options)
        except (Unreachable, NoAnswer) as error:
            if not is_away:
                _logger.warning("Redis cannot be reached, trying again: %s", error)
            is_away = True
            await asyncio.sleep(RETRY_SECONDS)
            return []
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            _logger.warning("Redis has lost its data: creating the group %s again", groupname)
            for stream in streams:
                with suppress(ResponseError):  # another reader was faster
                    await redis.xgroup_create(stream, groupname, id="0", mkstream=True)
            return []
        if is_away:
            _logger.warning("Redis is back")
        is_away = False
        return entries

    redis.xreadgroup = xreadgroup
