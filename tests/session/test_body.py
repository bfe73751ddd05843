"""However the body ends is one fact, and no failure of its actor."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import actors
from optio_agents.bridge import TrioBoundary
from optio_agents.session.body import run_body
from optio_agents.session.verdict import BodyEnded


async def run(body: Any, *, cancel: bool = False) -> tuple[list[BodyEnded], actors.Exit]:
    told: list[BodyEnded] = []
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(
            actors.actor(run_body, TrioBoundary(), body, ("host", "hook_ctx"), told.append, 5.0), name="body"
        )
        if cancel:
            await wait_all_tasks_blocked()
            ref.cancel()
        exit = await ref.wait()
    return told, exit


async def test_a_return_is_told_and_the_arguments_arrive() -> None:
    got: list[Any] = []

    async def body(*arguments: Any) -> str:
        got.extend(arguments)
        return "ignored"

    told, exit = await run(body)
    assert got == ["host", "hook_ctx"]
    assert told == [BodyEnded(None)]
    assert exit.cause is None


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
async def test_whatever_it_raises_is_told(error: BaseException) -> None:
    async def body(*arguments: Any) -> None:
        raise error

    told, exit = await run(body)
    assert told == [BodyEnded(error)]
    assert exit.cause is None


async def test_a_cancelled_body_is_no_fact() -> None:
    ended = []

    async def body(*arguments: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(True)

    told, _ = await run(body, cancel=True)
    assert (told, ended) == ([], [True])
