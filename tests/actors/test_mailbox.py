from __future__ import annotations

import contextlib
import inspect
import re
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from actors import mailbox, me, ref, traced
from tests.support.sample_actors import gated, keep


async def full(
    supervisor: actors.Supervisor, overflow: actors.Overflow, log: list[Any], gate: trio.Event
) -> actors.Ref[Any]:
    """An actor with a mailbox of two that holds 1 and 2."""
    ref = await supervisor.start(actors.actor(gated, gate, log), name="a", capacity=2, overflow=overflow)
    await ref.tell(1)
    await ref.tell(2)
    return ref


async def test_a_full_mailbox_blocks_the_sender_until_there_is_room() -> None:
    log: list[Any] = []
    gate = trio.Event()
    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await full(supervisor, actors.Overflow.BLOCK, log, gate)
        nursery.start_soon(ref.tell, 3)
        await wait_all_tasks_blocked()
        assert ref.statistics().senders_waiting == 1
        gate.set()
    assert log == [1, 2, 3]


async def test_blocked_senders_are_served_first_come_first_served() -> None:
    log: list[Any] = []
    gate = trio.Event()
    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await full(supervisor, actors.Overflow.BLOCK, log, gate)
        for number in range(3, 10):
            nursery.start_soon(ref.tell, number)
            await wait_all_tasks_blocked()
        gate.set()
    assert log == list(range(1, 10))


async def test_a_tell_that_is_cancelled_while_it_waits_has_not_sent() -> None:
    log: list[Any] = []
    gate = trio.Event()
    async with actors.open_supervisor() as supervisor:
        ref = await full(supervisor, actors.Overflow.BLOCK, log, gate)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.tell, 3)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert ref.statistics().senders_waiting == 0
        gate.set()
    assert log == [1, 2]


async def test_reject_tells_the_sender_and_makes_no_dead_letter() -> None:
    log: list[Any] = []
    gate = trio.Event()
    async with actors.open_supervisor() as supervisor:
        ref = await full(supervisor, actors.Overflow.REJECT, log, gate)
        with pytest.raises(actors.MailboxFull, match=r"'a' is full \(2 messages\)"):
            await ref.tell(3)
        assert ref.statistics().rejected == 1
        gate.set()
    assert log == [1, 2]
    assert ref.exit is not None
    assert ref.exit.dead_letters == ()


@pytest.mark.parametrize(
    ("overflow", "kept", "lost"),
    [(actors.Overflow.DROP_OLDEST, [2, 3], 1), (actors.Overflow.DROP_NEWEST, [1, 2], 3)],
)
async def test_a_dropped_message_is_counted_and_becomes_a_dead_letter(
    overflow: actors.Overflow, kept: list[int], lost: int
) -> None:
    log: list[Any] = []
    letters: list[actors.DeadLetter] = []
    gate = trio.Event()
    async with actors.open_supervisor(on_dead_letter=letters.append) as supervisor:
        ref = await full(supervisor, overflow, log, gate)
        await ref.tell(3)
        statistics = ref.statistics()
        assert (statistics.dropped, statistics.dead_letters) == (1, 1)
        gate.set()
    assert log == kept
    assert [letter.message for letter in letters] == [lost]
    assert "the mailbox was full" in letters[0].why


async def test_the_dropped_question_is_answered_at_once(autojump_clock: MockClock) -> None:
    gate = trio.Event()
    async with actors.open_supervisor() as supervisor:
        ref = await full(supervisor, actors.Overflow.DROP_NEWEST, [], gate)
        with pytest.raises(actors.MessageDropped, match="dropped on arrival"):
            await ref.ask(lambda reply: reply, timeout=1000.0)
        assert trio.current_time() < 1000.0
        gate.set()


async def test_system_messages_overtake_ten_thousand_user_messages() -> None:
    seen: list[Any] = []
    gate = trio.Event()

    async def watcher(me: actors.Me[Any], other: actors.Ref[Any]) -> None:
        me.watch(other, lambda exit: exit)
        await gated(me, gate, seen)

    async with actors.open_supervisor() as supervisor:
        other = await supervisor.start(actors.actor(keep, []))
        ref = await supervisor.start(actors.actor(watcher, other), capacity=10_000)
        for number in range(10_000):
            ref.try_tell(number)
        other.stop("enough")
        await other.wait()
        gate.set()
    assert isinstance(seen[0], actors.Exit)
    assert seen[1:] == list(range(10_000))


async def test_a_long_mailbox_does_not_starve_the_other_tasks() -> None:
    log: list[Any] = []
    gate = trio.Event()
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start(actors.actor(gated, gate, log), capacity=6400)
        for number in range(6400):
            ref.try_tell(number)
        gate.set()
        nursery.start_soon(neighbour)
        ref.stop()
        await ref.wait()
        nursery.cancel_scope.cancel()
    assert turns >= 6400 / 64 - 1


async def test_a_loop_of_tells_can_be_cancelled_although_there_is_always_room() -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(gated, trio.Event(), []), capacity=1_000_000)
        with trio.CancelScope() as scope:
            scope.cancel()
            for number in range(1_000):
                await ref.tell(number)
        assert scope.cancelled_caught
        assert ref.statistics().queued <= 64
        ref.cancel()


@pytest.mark.parametrize("hooks", [None, actors.Hooks()])
async def test_a_handler_that_never_awaits_is_cancelled_from_outside_within_eight_messages(
    hooks: actors.Hooks | None,
) -> None:
    handled: list[int] = []
    letters: list[actors.DeadLetter] = []
    gate = trio.Event()

    async def hasty(me: actors.Me[int]) -> None:
        me.ready()
        await gate.wait()
        async for number in me:
            handled.append(number)
            if number == 10:
                scope.cancel()

    with trio.CancelScope() as scope:
        async with actors.open_supervisor(hooks=hooks, on_dead_letter=letters.append) as supervisor:
            ref = await supervisor.start(actors.actor(hasty), capacity=1000)
            for number in range(1000):
                ref.try_tell(number)
            gate.set()
            await trio.sleep_forever()
    assert 10 <= handled[-1] <= 18
    assert handled + [letter.message for letter in letters] == list(range(1000))


async def test_a_batch_takes_what_is_there_up_to_its_limit_and_lets_blocked_senders_in() -> None:
    batches: list[list[int]] = []
    gate = trio.Event()

    async def batcher(me: actors.Me[int]) -> None:
        me.ready()
        await gate.wait()
        while True:
            batches.append(await me.receive_batch(3))

    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start(actors.actor(batcher), capacity=5)
        for number in range(5):
            ref.try_tell(number)
        nursery.start_soon(ref.tell, 5)
        await wait_all_tasks_blocked()
        gate.set()
    assert batches == [[0, 1, 2], [3, 4, 5]]
    assert ref.exit is not None
    assert ref.exit.kind is actors.ExitKind.STOPPED


@pytest.mark.parametrize("capacity", [0, -1])
async def test_a_mailbox_without_room_is_refused(capacity: int) -> None:
    async with actors.open_supervisor() as supervisor:
        with pytest.raises(ValueError, match="capacity of at least 1"):
            await supervisor.start(actors.actor(keep, []), capacity=capacity)
        assert supervisor.children == ()


def test_the_numbers_that_the_quick_paths_spell_out_are_those_of_the_mailbox() -> None:
    assert mailbox.LOOK_EVERY - 1 == 7
    quick = "".join(inspect.getsource(module) for module in (me, ref, traced))
    assert set(re.findall(r"& (\d+)", quick)) == {"7"}


async def test_each_end_of_the_mailbox_is_a_checkpoint() -> None:
    """A loop around the loop must not hang the process: a deadline ends it. (Virtual time stands still meanwhile.)"""

    async def stubborn(me: actors.Me[str]) -> None:
        while True:
            async for _ in me:
                pass

    async with actors.open_supervisor(stop_timeout=0.05) as supervisor:
        ref = await supervisor.start(actors.actor(stubborn))
        await ref.tell("a message")
    assert ref.exit is not None
    assert ref.exit.kind is actors.ExitKind.CANCELLED


async def test_tells_to_many_actors_can_be_cancelled_and_let_others_run() -> None:
    others: list[int] = []

    async def other() -> None:
        while True:
            others.append(1)
            await trio.lowlevel.checkpoint()

    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        refs = [await supervisor.start(actors.actor(keep, [])) for _ in range(200)]
        nursery.start_soon(other)
        await trio.lowlevel.checkpoint()
        others.clear()
        for ref in refs * 4:
            await ref.tell(0)
        assert len(others) >= 800 // mailbox.CHECKPOINT_EVERY - 1
        sent = 0
        with trio.CancelScope() as scope:
            scope.cancel()
            for ref in refs:
                await ref.tell(1)
                sent += 1
        assert scope.cancelled_caught
        assert sent <= mailbox.CHECKPOINT_EVERY
        nursery.cancel_scope.cancel()


async def test_a_loop_of_tells_to_a_stopped_actor_can_be_cancelled() -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(keep, []))
        ref.stop()
        await ref.wait()
        with trio.CancelScope() as scope:
            scope.cancel()
            for _ in range(1000):
                with contextlib.suppress(actors.ActorStopped):
                    await ref.tell(1)
        assert scope.cancelled_caught
