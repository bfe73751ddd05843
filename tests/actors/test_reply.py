from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import actors


async def test_the_first_answer_counts_and_a_second_one_is_late() -> None:
    async def twice(me: actors.Me[actors.Reply[int]]) -> None:
        async for reply in me:
            assert reply.wanted
            reply.set(1)
            assert not reply.wanted
            reply.set(2)
            reply.fail(ValueError())

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(twice))
        assert await ref.ask(lambda reply: reply, timeout=30) == 1
        assert ref.statistics().late_replies == 2


async def test_a_reply_may_be_given_by_another_actor_later() -> None:
    async def answer(me: actors.Me[actors.Reply[str]]) -> None:
        async for reply in me:
            reply.set(me.name)

    async def delegate(me: actors.Me[actors.Reply[str]], to: actors.Ref[actors.Reply[str]]) -> None:
        async for reply in me:
            await to.tell(reply)

    async with actors.open_supervisor() as supervisor:
        expert = await supervisor.start(actors.actor(answer), name="expert")
        ref = await supervisor.start(actors.actor(delegate, expert), name="front")
        assert await ref.ask(lambda reply: reply, timeout=30) == "expert"


async def test_a_question_that_was_put_aside_is_lost_with_the_run_that_did_so() -> None:
    async def forgetful(me: actors.Me[actors.Reply[int] | str]) -> None:
        aside: list[object] = []
        async for message in me:
            if message == "boom":
                raise ValueError(len(aside))
            aside.append(message)

    async with (
        actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor,
        trio.open_nursery() as nursery,
    ):
        ref = await supervisor.start(actors.actor(forgetful), restart=actors.PERMANENT)

        async def ask() -> None:
            with pytest.raises(actors.ActorFailed, match=r"ValueError\(1\)"):
                await ref.ask(lambda reply: reply, timeout=30)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await ref.tell("boom")
