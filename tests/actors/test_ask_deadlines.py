from __future__ import annotations

import random
import weakref
from functools import partial

import pytest
import trio
import trio.testing

import actors
from actors.ask_deadlines import AskDeadlines
from actors.mailbox import CHECKPOINT_EVERY, budget
from actors.reply import Reply


class Ask(actors.Question[object]):
    """Answered by the test."""


class Big:
    """An answer that takes memory."""


async def hold(me: actors.Me[Ask], held: list[Ask]) -> None:
    async for ask in me:
        held.append(ask)


@pytest.mark.parametrize("seed", range(5))
async def test_each_ask_ends_at_its_own_deadline(autojump_clock: object, seed: int) -> None:
    timeouts = random.Random(seed).sample(range(1, 1000), 100)
    ended: list[float] = []

    async def ask(ref: actors.Ref[Ask], timeout: float) -> None:
        with pytest.raises(actors.AskTimeout):
            await ref.ask(Ask(), timeout=timeout)
        ended.append(trio.current_time())

    async with actors.open_supervisor() as supervisor:
        nested = await supervisor.start_supervisor(name="nested")
        refs = [await owner.start(actors.actor(hold, [])) for owner in (supervisor, nested)]
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number, timeout in enumerate(timeouts):
                nursery.start_soon(ask, refs[number % 2], timeout)
                if number == 50:
                    await trio.sleep(0.5)  # the rest while the task that watches sleeps already
    late = [0.0 if number <= 50 else 0.5 for number in range(100)]
    due = sorted(began + timeout + delay for timeout, delay in zip(timeouts, late, strict=True))
    assert ended == pytest.approx(due), f"seed {seed}"


async def test_one_task_watches_a_whole_tree_of_supervisors_and_ends_with_it() -> None:
    async with trio.open_nursery() as nursery:
        async with actors.open_supervisor(name="top") as supervisor:
            nested = await supervisor.start_supervisor(name="nested")
            held: list[Ask] = []
            refs = [await owner.start(actors.actor(hold, held)) for owner in (supervisor, nested)]
            assert "ask deadlines" not in actors.tree()
            budget.left = (
                CHECKPOINT_EVERY  # an ask that begins with a checkpoint has a scope around it anyway
            )
            for ref in refs:
                nursery.start_soon(partial(ref.ask, Ask(), timeout=3600))
            await trio.testing.wait_all_tasks_blocked()
            assert actors.tree().count("ask deadlines of top") == 1
            assert actors.tree().count("ask deadlines") == 1
            for ask in held:
                ask.reply.set(None)
        assert "ask deadlines" not in actors.tree()


@pytest.mark.parametrize("answered", [True, False])
async def test_a_deadline_holds_also_when_the_block_was_cancelled_and_the_actor_still_cleans_up(
    autojump_clock: object, answered: bool
) -> None:
    ended: list[tuple[float, object]] = []

    async def slow_to_end(me: actors.Me[Ask]) -> None:
        ask = await me.receive()
        try:
            await trio.sleep_forever()
        finally:
            with me.cleanup(100):
                await trio.sleep(10 if answered else 50)
                ask.reply.set("answer")

    async def ask(ref: actors.Ref[Ask]) -> None:
        try:
            answer = await ref.ask(Ask(), timeout=20)
        except actors.AskTimeout as timeout:
            answer = type(timeout)
        ended.append((trio.current_time() - began, answer))

    async with trio.open_nursery() as outside:
        began = trio.current_time()
        with trio.move_on_after(1):
            async with actors.open_supervisor() as supervisor:
                ref = await supervisor.start(actors.actor(slow_to_end))
                budget.left = CHECKPOINT_EVERY
                outside.start_soon(ask, ref)
                await trio.sleep_forever()
    [(seconds, answer)] = ended
    assert answer == ("answer" if answered else actors.AskTimeout)
    assert seconds == pytest.approx(11 if answered else 20)


async def test_asks_that_are_over_take_no_memory() -> None:
    answers: list[weakref.ref[Big]] = []

    async def answer(me: actors.Me[Ask]) -> None:
        async for ask in me:
            big = Big()
            answers.append(weakref.ref(big))
            ask.reply.set(big)
            del big, ask

    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(answer))
        for _ in range(1000):
            await ref.ask(Ask(), timeout=3600)
        deadlines = ref._cell.family.ask_deadlines
        assert len(deadlines._order) < 50
        assert not deadlines._open
        assert sum(answer() is not None for answer in answers) <= 1  # the last one, in hand


async def test_a_supervisor_whose_nursery_has_just_closed_leaves_the_deadline_to_the_asker() -> None:
    async with trio.open_nursery() as nursery:
        pass
    deadlines = AskDeadlines(nursery, "top")
    assert deadlines.add(Reply(), 5.0) is None
    assert deadlines.add(Reply(), 5.0) is None


async def test_an_ask_without_a_time_limit_wakes_nobody(autojump_clock: object) -> None:
    async with actors.open_supervisor() as supervisor:
        held: list[Ask] = []
        ref = await supervisor.start(actors.actor(hold, held))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(ref.ask, Ask(), timeout=float("inf")))
            await trio.sleep(1e6)
            held[0].reply.set(None)


@pytest.mark.parametrize("timeout", [0, -1])
async def test_an_ask_without_time_times_out_even_if_the_answer_could_come_at_once(timeout: float) -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(hold, []))
        with pytest.raises(actors.AskTimeout):
            await ref.ask(Ask(), timeout=timeout)
