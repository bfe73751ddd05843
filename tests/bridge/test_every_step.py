"""The awaiting asyncio task is cancelled at each single step of its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import trio
from outcome import Outcome, Value

from optio_agents.bridge import Boundary, run_in_trio
from tests.support.asyncio_steps import Run, cancel_at_every_step
from tests.support.descriptors import open_descriptors
from tests.support.threads import busy_threads


class Ledger:
    """Counts what was opened and what was closed again."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0

    def __enter__(self) -> None:
        self.opened += 1

    def __exit__(self, *exc: object) -> None:
        self.closed += 1


class Scenario:
    """A small session that uses everything that crosses the boundary."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    async def program(self) -> str:
        return await run_in_trio(self.main)

    async def main(self, boundary: Boundary) -> str:
        with self.ledger:
            flag = asyncio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(boundary.wait_flag, flag)
                await boundary.call(self.callback, 2, label="callback")
                await boundary.call_each(self.callback, [(1,), (0,)], label="callback", on_result=self.note)
                await trio.sleep(0)
                nursery.cancel_scope.cancel()
        return "ended"

    async def callback(self, turns: int) -> None:
        with self.ledger:
            for _ in range(turns):
                await asyncio.sleep(0)
            try:
                await asyncio.sleep(0)
            finally:
                await asyncio.sleep(0)

    def note(self, index: int, result: Outcome[None]) -> None:
        assert result == Value(None)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("steps", ["in bursts", "one by one"])
def test_one_outcome_and_nothing_left(
    times: int, steps: str, trio_driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if steps == "one by one":
        if trio_driver == "public":
            pytest.skip("the public driver makes each step by itself anyway")
        monkeypatch.setattr("optio_agents.bridge.driver.BURST", 0.0)
    scenario = Scenario()
    descriptors, threads = set(open_descriptors()), busy_threads()

    def check(run: Run[str]) -> None:
        assert run.was_cancelled if run.fired else run.outcome == Value("ended")
        assert scenario.ledger.opened == scenario.ledger.closed
        assert not run.left
        assert not trio.lowlevel.in_trio_run()
        assert set(open_descriptors()) <= descriptors
        assert busy_threads() <= threads

    assert cancel_at_every_step(scenario.program, check, times=times) > 10


def test_a_session_that_joins_while_another_one_is_cancelled() -> None:
    async def empty(boundary: Boundary) -> str:
        await trio.lowlevel.checkpoint()
        return "other"

    others: list[asyncio.Task[str]] = []

    async def program() -> str:
        others[:] = [asyncio.ensure_future(run_in_trio(empty)) for _ in range(2)]
        result = await run_in_trio(empty)
        await asyncio.wait(others)
        return result

    def check(run: Run[str]) -> None:
        assert run.was_cancelled if run.fired else run.outcome == Value("other")
        for task in others:
            if task not in run.left:
                assert task.result() == "other"
        assert not trio.lowlevel.in_trio_run()

    assert cancel_at_every_step(program, check) > 5


def test_cleanup_is_waited_for_at_every_step() -> None:
    cleaned: list[int] = []
    began: list[int] = []

    async def main(boundary: Boundary) -> None:
        began.append(1)
        try:
            await trio.sleep(0)
        finally:
            with trio.CancelScope(shield=True):
                await boundary.call(cleanup, label="cleanup")

    async def cleanup() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        cleaned.append(1)

    program: Callable[[], Awaitable[None]] = lambda: run_in_trio(main)  # noqa: E731

    def check(run: Run[None]) -> None:
        assert len(began) == len(cleaned)

    cancel_at_every_step(program, check, times=2)
    assert cleaned
