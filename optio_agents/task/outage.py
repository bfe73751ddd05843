"""Database operations that outlast an outage: what fails because MongoDB is away is tried again.

pymongo itself waits for a server before it sends anything, but an operation that is under way when the connection
breaks fails at once, and so does the next one on a pooled connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import ConnectionFailure

OUTAGE_SECONDS = 90.0
"""How long an operation is tried again. A restart of a database takes seconds, a failover less than a minute."""

FIRST_DELAY = 0.1
LAST_DELAY = 2.0
"""Seconds between two attempts: doubled each time, from the first to the last."""

T = TypeVar("T")


async def outlast_outage(operation: Callable[[], Awaitable[T]], seconds: float = OUTAGE_SECONDS) -> T:
    """Await `operation()`, and again after each failure to reach the database.

    Args:
        operation: does the whole of it each time, and may be repeated.
        seconds: how long to go on; no attempt begins later.

    Returns:
        What the attempt that succeeded returned.

    Raises:
        ConnectionFailure: the last attempt's.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    delay = FIRST_DELAY
    while True:
        try:
            return await operation()
        except ConnectionFailure:
            if loop.time() + delay > deadline:
                raise
        await asyncio.sleep(delay)
        delay = min(2 * delay, LAST_DELAY)
