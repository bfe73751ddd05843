"""Opening a deliverable on another machine: what was begun for it is ended, however the opening ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from optio_agents.hosts.remote_deliverable import RemoteDeliverable


class Connection:
    """Starts a program that says `answer`, or nothing."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.running = 0

    @asynccontextmanager
    async def start(self, program: str, label: str) -> AsyncIterator[Connection]:
        self.running += 1
        try:
            yield self
        finally:
            self.running -= 1

    async def receive(self, limit: int) -> bytes:
        if self.answer is None:
            await trio.sleep_forever()
        assert self.answer is not None
        return self.answer


async def test_an_opening_that_is_cancelled_closes_its_channel(
    autojump_clock: trio.testing.MockClock,
) -> None:
    connection: Any = Connection(None)
    with trio.move_on_after(1):
        async with RemoteDeliverable(connection, "/w", "a", 100):
            pass
    assert connection.running == 0


async def test_an_opening_that_is_refused_closes_its_channel() -> None:
    connection: Any = Connection(b"REFUSAL\n")
    with pytest.raises(OSError):
        async with RemoteDeliverable(connection, "/w", "a", 100):
            pass
    assert connection.running == 0
