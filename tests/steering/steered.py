"""A `Steering` over a conversation that keeps a log of everything."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from optio_agents.steering import BusySend, Steering

Event = dict[str, Any]

QUEUED, TAKEN, REQUEUED = "x-optio-queued", "x-optio-taken", "x-optio-requeued"
MARK = ("x-optio-interrupt", "user")

NATIVE: list[BusySend] = ["joins-next-step", "queues-to-end"]
OTHERS: list[BusySend] = ["cuts-in", "rejected", "unsafe"]


class Agent:
    """A conversation that accepts what it is sent."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.works = False
        self.closed = False
        self.handlers: list[Callable[[Event], None]] = []
        self.failures: list[Exception | None] = []
        self.hangs = False

    async def send(self, text: str, *, uuid: str | None = None) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.log.append((text, uuid))
        self.works = True

    async def interrupt(self) -> None:
        self.log.append("interrupt")

    def is_pending(self) -> bool:
        return self.works

    def on_event(self, handler: Callable[[Event], None]) -> Callable[[], None]:
        self.handlers.append(handler)
        return lambda: self.handlers.remove(handler)

    def tells(self, **event: Any) -> None:
        for handler in list(self.handlers):
            handler(event)

    def ends_its_turn(self) -> None:
        self.works = False
        self.tells(type="end")


class Steered:
    """The log has what the agent got, `(text, uuid)`, and the transcript's events as tuples of their values."""

    def __init__(self, value: BusySend, **changes: Any) -> None:
        self.agent = Agent()
        self.log = self.agent.log
        self.value = value
        numbers = itertools.count(1)

        def lifecycle(event: Event) -> tuple[str, str] | None:
            return (event["id"], event["state"]) if event["type"] == "life" else None

        arguments: dict[str, Any] = {
            "busy_send": lambda: self.value,
            "emit": lambda event: self.log.append(tuple(event.values())),
            "is_turn_end": lambda event: event["type"] == "end",
            "turn_end_timeout_s": 30,
            "new_id": lambda: f"m{next(numbers)}",
            "command_lifecycle": lifecycle,
        }
        self.steering = Steering(self.agent, **{**arguments, **changes})

    def logged(self) -> list[Any]:
        """What was logged since this was asked last."""
        logged, self.log[:] = list(self.log), []
        return logged

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        await self.steering.settle()

    async def cut_in(self, text: str, *, then: Callable[[], None]) -> str | None:
        """Interrupt and send; `then` happens while the end of the turn is waited for."""
        task = asyncio.create_task(self.steering.interrupt_and_send(text))
        for _ in range(10):
            await asyncio.sleep(0)
        then()
        result = await task
        await self.settle()
        return result


def run(value: BusySend, scenario: Callable[[Steered], Awaitable[None]], **changes: Any) -> None:
    """Run a scenario, then close: no task and no handler is left."""
    steered = Steered(value, **changes)  # constructed without a loop

    async def whole() -> None:
        async with asyncio.timeout(60):
            await scenario(steered)
            steered.steering.close()
            await steered.steering.settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert steered.agent.handlers == []

    asyncio.run(whole())
