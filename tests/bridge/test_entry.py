"""From which world a session is awaited, where the two are nested."""

from __future__ import annotations

import asyncio

import pytest
import trio

from optio_agents.bridge import Boundary, run_in_trio


async def small(boundary: Boundary) -> str:
    await trio.sleep(0)
    return "ran"


def test_asyncio_run_within_a_trio_task_is_refused_in_words_and_trio_goes_on() -> None:
    async def program() -> str:
        with pytest.raises(RuntimeError, match="await the session from the Trio task itself"):
            asyncio.run(run_in_trio(small))
        await trio.sleep(0)
        return await run_in_trio(small)

    assert trio.run(program) == "ran"


def test_asyncio_in_another_thread_of_a_trio_program() -> None:
    async def program() -> str:
        return await trio.to_thread.run_sync(lambda: asyncio.run(run_in_trio(small)))

    assert trio.run(program) == "ran"


def test_a_session_within_a_session_of_asyncio() -> None:
    async def outer(boundary: Boundary) -> str:
        return await run_in_trio(small) + await boundary.call(lambda: run_in_trio(small), label="callback")

    assert asyncio.run(run_in_trio(outer)) == "ranran"
