from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

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


@pytest.mark.parametrize("asker", ["actor", "task"])
async def test_a_cancellation_that_a_handler_answers_with_stays_where_it_is(
    asker: str, autojump_clock: MockClock
) -> None:
    """`except BaseException as error: reply.fail(error); raise` in a handler that is interrupted."""
    seen: list[object] = []

    async def back(me: actors.Me[actors.Reply[int]]) -> None:
        async def handle(reply: actors.Reply[int]) -> None:
            try:
                await trio.sleep(1000)
            except BaseException as error:
                reply.fail(error)
                raise

        await me.serve(handle)

    async def ask(ref: actors.Ref[actors.Reply[int]]) -> None:
        try:
            await ref.ask(lambda reply: reply, timeout=2000)
        except Exception as error:
            seen.append(error)

    async def front(me: actors.Me[str], ref: actors.Ref[actors.Reply[int]]) -> None:
        async for _ in me:
            await ask(ref)

    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start(actors.actor(back))
        if asker == "actor":
            other = await supervisor.start(actors.actor(front, ref), restart=actors.PERMANENT)
            await other.tell("go")
        else:
            nursery.start_soon(ask, ref)
        await trio.sleep(1)
        ref.interrupt("the user pressed stop")
        await trio.sleep(1)
        assert ref.exit is None
    (error,) = seen
    assert isinstance(error, actors.Interrupted)
    assert error.reason == "the user pressed stop"


async def test_what_is_no_exception_is_a_failure_of_the_callee_for_the_asker() -> None:
    async def exits(me: actors.Me[actors.Reply[int]]) -> None:
        async for reply in me:
            reply.fail(SystemExit(3))

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(exits))
        with pytest.raises(actors.ActorFailed, match="SystemExit"):
            await ref.ask(lambda reply: reply, timeout=5)
