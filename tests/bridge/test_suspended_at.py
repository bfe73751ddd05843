"""Naming the place where a coroutine is suspended."""

from __future__ import annotations

from collections.abc import AsyncIterator

import trio

from optio_agents.bridge.suspended_at import place


async def outer() -> None:
    await inner()


async def inner() -> None:
    await trio.sleep_forever()


async def numbers() -> AsyncIterator[int]:
    await trio.sleep_forever()
    yield 1


async def loops() -> None:
    async for _ in numbers():
        pass


async def test_the_innermost_frame_of_user_code_is_named() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outer)
        await trio.testing.wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        line = inner.__code__.co_firstlineno + 1
        assert place(task.coro) == f"inner (test_suspended_at.py:{line})"
        nursery.cancel_scope.cancel()


async def test_an_async_for_is_named_at_least_by_its_function() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loops)
        await trio.testing.wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        assert "(test_suspended_at.py:" in place(task.coro)
        nursery.cancel_scope.cancel()


def test_what_has_no_frame_has_no_known_place() -> None:
    assert place(None) == place(object()) == "an unknown place"
