"""The ctx of a measured session: one that does nothing but count, or a real one of optio-core's on MongoDB."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.sessions.probe.worlds import World

Execute = Callable[[Any], Awaitable[None]]


class CountingContext:
    """What a session needs of a ctx. `on_progress` may be replaced."""

    def __init__(self, world: World) -> None:
        self.cancellation_flag = world.event()
        self.calls: Counter[str] = Counter()
        self.last: tuple[float | None, str | None] = (None, None)

    def should_continue(self) -> bool:
        return not self.cancellation_flag.is_set()

    def report_progress(self, percent: float | None, message: str | None = None, **_: Any) -> None:
        self.calls["progress"] += 1
        self.last = (percent, message)

    async def need_attention(self, reason: str) -> None:
        self.calls["attention"] += 1

    async def client_message(self, keyword: str, data: Any) -> None:
        self.calls["client_message"] += 1

    async def request_browser_open(self, url: str) -> None:
        self.calls["browser"] += 1


async def execute_under_optio(uri: str, execute: Execute) -> dict[str, Any]:
    """Run `execute(ctx)` as a process of a real optio engine; return what its database holds afterwards."""
    from motor.motor_asyncio import AsyncIOMotorClient
    from optio_core.lifecycle import Optio
    from optio_core.models import TaskInstance

    client: Any = AsyncIOMotorClient(uri)
    prefix = f"bench{time.time_ns()}"
    task = TaskInstance(execute=execute, process_id="measured", name="measured")

    async def definitions(services: Any, metadata_filter: Any) -> list[Any]:
        return [task]

    optio = Optio()
    await optio.init(client["bench"], prefix=prefix, get_task_definitions=definitions)
    try:
        await optio.launch_and_wait("measured", session_id=None)
        record: dict[str, Any] | None = await optio.get_process("measured")
        assert record is not None
        return {
            "state": record["status"]["state"],
            "progress": record["progress"],
            "log": [(entry["level"], entry["message"]) for entry in record["log"]],
        }
    finally:
        await optio.shutdown()
        client.close()
