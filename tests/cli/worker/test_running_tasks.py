"""Tasks beyond the limit wait for a place, in order, and obey a cancel while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from optio_core.models import TaskFactory, TaskInstance

from optio_agents.cli.worker.running_tasks import RunningTasks


class Context:
    """What a run gets from optio, as far as it counts here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cancellation_flag = asyncio.Event()
        self.messages: list[str] = []

    def report_progress(self, percent: float | None, message: str) -> None:
        self.messages.append(message)


class Agents:
    """A task whose runs end when they are released, or raise."""

    def __init__(self, limit: int | None) -> None:
        self.tasks = RunningTasks(limit)
        self.began: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.definition = self.tasks.counted(TaskInstance(execute=self.execute, process_id="a", name="A"))

    async def execute(self, ctx: Any) -> None:
        self.began.append(ctx.name)
        await self.ends.setdefault(ctx.name, asyncio.Event()).wait()
        if ctx.name == "bad":
            raise ValueError

    def launch(self, ctx: Context) -> asyncio.Task[None]:
        run: Coroutine[Any, Any, None] = self.definition.execute(ctx)
        return asyncio.create_task(run)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_place_goes_to_the_task_that_has_waited_longest_even_after_a_failure() -> None:
    async def scenario() -> None:
        agents = Agents(limit=1)
        contexts = [Context(name) for name in ("bad", "second", "third")]
        runs = [agents.launch(ctx) for ctx in contexts]
        await settle()
        assert agents.began == ["bad"]
        assert contexts[1].messages == ["waiting for a place: 1 tasks run"]
        assert (agents.tasks.running, agents.tasks.waiting) == (1, 2)
        agents.ends["bad"].set()
        with pytest.raises(ValueError):
            await runs[0]
        await settle()
        assert agents.began == ["bad", "second"]
        agents.ends["second"].set()
        await settle()
        agents.ends["third"].set()
        await asyncio.gather(*runs[1:])
        assert agents.began == ["bad", "second", "third"]
        await agents.tasks.until_idle()
        assert (agents.tasks.running, agents.tasks.waiting) == (0, 0)

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize("comes_with_a_place", [False, True])
def test_a_cancel_while_it_waits_loses_no_place(is_forced: bool, comes_with_a_place: bool) -> None:
    async def scenario() -> None:
        agents = Agents(limit=1)
        contexts = [Context(name) for name in ("first", "cancelled", "last")]
        runs = [agents.launch(ctx) for ctx in contexts]
        await settle()
        if comes_with_a_place:
            agents.ends["first"].set()
        if is_forced:
            runs[1].cancel()
        else:
            contexts[1].cancellation_flag.set()
        await settle()
        assert runs[1].done()
        agents.ends["first"].set()
        await settle()
        assert agents.began[-1] == "last"
        agents.ends["last"].set()
        await asyncio.wait(runs)
        assert (agents.tasks.running, agents.tasks.waiting) == (0, 0)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_after_close_a_place_that_becomes_free_begins_no_task() -> None:
    async def scenario() -> None:
        agents = Agents(limit=1)
        contexts = [Context(name) for name in ("first", "waiting")]
        runs = [agents.launch(ctx) for ctx in contexts]
        await settle()
        agents.tasks.close()
        agents.ends["first"].set()
        await settle()
        assert agents.began == ["first"]
        contexts[1].cancellation_flag.set()
        await asyncio.gather(*runs)
        await agents.tasks.until_idle()
        assert (agents.began, agents.tasks.running) == (["first"], 0)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_the_launches_of_a_factory_count_too() -> None:
    async def scenario() -> None:
        agents = Agents(limit=1)

        def task_for(values: dict[str, Any], process_id: str) -> TaskInstance:
            return TaskInstance(execute=agents.execute, process_id=process_id, name="made")

        factory = TaskFactory(process_id="f", name="F", parameters=[], task_for=task_for)
        made = agents.tasks.counted(factory).task_for({}, "f/1")
        run = asyncio.create_task(made.execute(Context("made")))
        waiting = agents.launch(Context("after"))
        await settle()
        assert agents.began == ["made"]
        agents.ends["made"].set()
        await run
        await settle()
        agents.ends["after"].set()
        await waiting

    asyncio.run(asyncio.wait_for(scenario(), 60))
