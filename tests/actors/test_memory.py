"""What is over is freed: by reference counts alone, without the garbage collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import actors
from tests.support.sample_actors import Boom


class Big:
    """Something that a run holds."""


@pytest.fixture(autouse=True)
def without_the_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def worker(me: actors.Me[Any], held: list[weakref.ref[Big]]) -> None:
    me.timers.start("never", 3600, "never")
    async for message in me:
        big = Big()
        held.append(weakref.ref(big))
        if message == "fail":
            raise Boom
        if isinstance(message, actors.Reply):
            message.set(None)
        del big


async def test_a_failed_run_is_not_kept_by_its_successor() -> None:
    held: list[weakref.ref[Big]] = []
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(worker, held), restart=actors.TRANSIENT)
        await ref.tell("fail")
        await ref.ask(lambda reply: reply, timeout=5)
        gc.collect()  # the frames of a traceback and their exception are a cycle of Python's own
        assert held[0]() is None


@pytest.mark.parametrize("how", ["stop", "cancel", "return"])
@pytest.mark.parametrize("hooks", [None, actors.Hooks()])
async def test_an_ended_actor_is_freed(how: str, hooks: actors.Hooks | None) -> None:
    async def brief(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
        me.watch(other, lambda exit: exit)
        await worker(me, [])

    async def returns(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
        await me.receive()

    async with actors.open_supervisor(hooks=hooks) as supervisor:
        other = await supervisor.start(actors.actor(worker, []))
        ref = await supervisor.start(
            actors.actor(returns if how == "return" else brief, other), restart=actors.TRANSIENT
        )
        handle = weakref.ref(ref)
        if how == "return":
            await ref.tell("go")
        else:
            getattr(ref, how)()
        await ref.wait()
        await wait_all_tasks_blocked()
        del ref
        await trio.lowlevel.checkpoint()
        assert handle() is None


async def test_a_context_that_others_keep_does_not_keep_the_actor() -> None:
    kept: list[Context] = []

    async def copied(me: actors.Me[Any]) -> None:
        kept.append(copy_context())
        await me.receive()

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(copied))
        handle = weakref.ref(ref)
        ref.stop()
        await ref.wait()
        await wait_all_tasks_blocked()
        del ref
        await trio.lowlevel.checkpoint()
        assert handle() is None


async def test_an_exit_can_drop_its_traceback() -> None:
    held: list[weakref.ref[Big]] = []
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.actor(worker, held))
        await ref.tell("fail")
        exit = await ref.wait()
    gc.collect()
    assert held[0]() is not None
    exit.drop_traceback()
    gc.collect()
    assert held[0]() is None
    assert isinstance(exit.cause, Boom)


async def test_a_handle_that_is_made_again_after_the_end_still_answers() -> None:
    mine: list[actors.Me[Any]] = []

    async def quick(me: actors.Me[Any]) -> None:
        mine.append(me)

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(quick), name="quick")
        await ref.wait()
        assert mine[0].ref is ref
        del ref
        assert mine[0].ref.name == "quick"
        assert mine[0].ref.exit is not None


def ignore(me: actors.InlineMe[int]) -> Callable[[int], None]:
    return lambda message: None


@pytest.mark.parametrize("asked", [True, False])
async def test_a_supervisor_that_was_left_is_freed(asked: bool) -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(worker, []))
        inline = await supervisor.start(actors.inline(ignore))
        await inline.tell(1)
        if asked:
            await ref.ask(lambda reply: reply, timeout=5)
    family = weakref.ref(supervisor._family)
    del supervisor, ref, inline
    await trio.lowlevel.checkpoint()
    assert family() is None
