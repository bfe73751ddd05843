"""A probe as a child process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from optio_core.exceptions import ResultNotPublished

from optio_agents.model_probe import run_probe_child


class ChildCtx:
    def __init__(self) -> None:
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def publish_result(self, result: Any) -> None:
        self.result.set_result(result)


class Handle:
    def __init__(self, result: Any) -> None:
        self.result = result


class Ctx:
    """Does with children what optio-core does: the counter advances late, and a child outlives its launcher."""

    process_id = "task"

    def __init__(self) -> None:
        self._child_counter: dict[str, int] = {}
        self.started: list[str] = []
        self.children: list[asyncio.Task[None]] = []

    async def run_child_task_with_result(self, task: Any) -> Handle:
        self.started.append(task.process_id)
        child_ctx = ChildCtx()

        async def child() -> None:
            await asyncio.sleep(0)
            self._child_counter["next"] = self._child_counter.get("next", 0) + 1
            await task.execute(child_ctx)

        running = asyncio.create_task(child())
        self.children.append(running)
        await asyncio.wait([running, child_ctx.result], return_when=asyncio.FIRST_COMPLETED)
        if not child_ctx.result.done():
            await running
            raise ResultNotPublished(task.process_id, state="done")
        return Handle(child_ctx.result.result())


def test_the_result_comes_back() -> None:
    async def probe(child_ctx: Any) -> dict[str, bool]:
        return {"a": True}

    async def scenario() -> None:
        ctx = Ctx()
        assert await run_probe_child(ctx, name="probe", probe=probe) == {"a": True}
        assert await run_probe_child(ctx, name="probe", description="again", probe=probe) == {"a": True}
        assert ctx.started == ["task.model-probe-0", "task.model-probe-1"]

    asyncio.run(scenario())


def test_a_probe_that_fails_is_none(caplog: pytest.LogCaptureFixture) -> None:
    async def probe(child_ctx: Any) -> None:
        raise RuntimeError("no network")

    async def scenario() -> None:
        assert await run_probe_child(Ctx(), name="probe", probe=probe) is None

    asyncio.run(scenario())
    assert "'probe' failed" in caplog.text


def test_two_probes_at_once_have_ids_of_their_own() -> None:
    async def probe(child_ctx: Any) -> str:
        await asyncio.sleep(0)
        return "found"

    async def scenario() -> None:
        ctx = Ctx()
        both = await asyncio.gather(*(run_probe_child(ctx, name="probe", probe=probe) for _ in range(2)))
        assert both == ["found", "found"]
        assert len(set(ctx.started)) == 2

    asyncio.run(scenario())


def test_a_probe_ends_with_its_waiter() -> None:
    async def scenario() -> None:
        ctx, began = Ctx(), asyncio.Event()
        ended: list[bool] = []

        async def probe(child_ctx: Any) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        waiting = asyncio.create_task(run_probe_child(ctx, name="probe", probe=probe))
        await began.wait()
        waiting.cancel()
        await asyncio.wait([waiting, *ctx.children])
        assert ended == [True]
        assert waiting.cancelled()

    asyncio.run(scenario())
