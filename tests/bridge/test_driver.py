"""Trio stepped from an asyncio loop: everything that must wake it does."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.bridge.driver_choice import driver_class

HANG = 60.0


def test_trio_needs_no_thread_of_its_own(trio_driver: str) -> None:
    async def main(boundary: Boundary) -> int:
        await trio.sleep(0.001)
        return len(set(threading.enumerate()) - before)

    before = set(threading.enumerate())
    # The public driver needs one to wait for I/O, or uses one that an earlier test has left.
    assert asyncio.run(run_in_trio(main)) <= (0 if trio_driver == "stepping" else 1)


def test_a_plain_call_from_the_loop_wakes_a_trio_task() -> None:
    async def main(boundary: Boundary) -> str:
        event = trio.Event()
        asyncio.get_running_loop().call_later(0.001, event.set)
        with trio.fail_after(HANG):
            await event.wait()
        return "woken"

    assert asyncio.run(run_in_trio(main)) == "woken"


def test_another_thread_wakes_a_trio_task() -> None:
    async def main(boundary: Boundary) -> str:
        with trio.fail_after(HANG):
            return await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(lambda: "woken"))

    assert asyncio.run(run_in_trio(main)) == "woken"


def test_a_deadline_that_the_loop_moves_forward_is_kept() -> None:
    async def main(boundary: Boundary) -> bool:
        with trio.CancelScope(deadline=trio.current_time() + HANG) as scope:

            def hurry() -> None:
                scope.deadline = 0.0

            asyncio.get_running_loop().call_later(0.001, hurry)
            await trio.sleep_forever()
        return scope.cancelled_caught

    assert asyncio.run(run_in_trio(main))


def test_a_readable_descriptor_wakes_a_trio_task() -> None:
    async def main(boundary: Boundary) -> bytes:
        read, write = os.pipe()
        try:
            asyncio.get_running_loop().call_later(0.001, os.write, write, b"x")
            with trio.fail_after(HANG):
                await trio.lowlevel.wait_readable(read)
            return os.read(read, 1)
        finally:
            os.close(read)
            os.close(write)

    assert asyncio.run(run_in_trio(main)) == b"x"


def test_a_readable_descriptor_is_seen_beside_a_task_that_never_waits() -> None:
    async def main(boundary: Boundary) -> None:
        async def spin() -> None:
            while True:
                await trio.lowlevel.checkpoint()

        read, write = os.pipe()
        try:
            os.write(write, b"x")
            with trio.fail_after(HANG):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(spin)
                    await trio.lowlevel.wait_readable(read)
                    nursery.cancel_scope.cancel()
        finally:
            os.close(read)
            os.close(write)

    asyncio.run(run_in_trio(main))


def test_a_trio_task_that_never_waits_leaves_the_loop_its_turns() -> None:
    async def program() -> int:
        over = asyncio.Event()

        async def spin(boundary: Boundary) -> int:
            steps = 0
            while not over.is_set():
                await trio.lowlevel.checkpoint()
                steps += 1
            return steps

        session = asyncio.create_task(run_in_trio(spin))
        for _ in range(10):
            await asyncio.sleep(0)
        over.set()
        return await session

    assert asyncio.run(program()) > 0


def test_an_idle_session_takes_no_turns_of_the_loop(
    trio_driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[None] = []
    name = {"stepping": "_run_burst", "public": "_make_step"}[trio_driver]
    monkeypatch.setattr(driver_class(), name, counted(getattr(driver_class(), name), steps))

    async def idle(boundary: Boundary) -> None:
        await trio.sleep_forever()

    async def program() -> None:
        sessions = [asyncio.create_task(run_in_trio(idle)) for _ in range(50)]
        for _ in range(100):
            await asyncio.sleep(0)
        quiet = len(steps)
        assert quiet
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(steps) == quiet
        for session in sessions:
            session.cancel()
        await asyncio.wait(sessions)

    asyncio.run(program())


def counted(method: Callable[[Any], None], calls: list[None]) -> Callable[[Any], None]:
    def counting(self: Any) -> None:
        calls.append(None)
        method(self)

    return counting
