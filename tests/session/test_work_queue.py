"""A queue and its actor: in order, counted, bounded in memory, never in the parser's way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from optio_agents.session.verdict import Trouble
from optio_agents.session.work_queue import MEMORY, PATIENCE, WAKE, WorkQueue, run_worker
from tests.support.session_parts import FarEnd


def full_queue() -> WorkQueue[str]:
    queue: WorkQueue[str] = WorkQueue()
    for number in range(4):
        queue.put(str(number), MEMORY // 4)
    assert queue.spool.is_over_high_water
    return queue


async def test_items_come_out_in_order_and_stay_unsettled_until_they_are_dealt_with() -> None:
    queue: WorkQueue[str] = WorkQueue()
    settled = []
    queue.on_settled = lambda: settled.append(queue.unsettled)
    queue.put("a", 1)
    queue.put("b", 1, count=2)
    queue.put("c", 1)
    assert queue.unsettled == 4
    assert queue.take(3) == ["a", "b"]
    assert (queue.in_progress, queue.unsettled) == (3, 4)
    for _ in range(3):
        queue.settle()
    assert (queue.in_progress, queue.unsettled) == (0, 1)
    assert settled == [3, 2, 1]
    assert queue.take(3) == ["c"]
    queue.settle()
    assert queue.unsettled == 0


async def test_its_actor_is_woken_once_until_the_queue_was_empty() -> None:
    queue, actor = WorkQueue[str](), FarEnd(capacity=1)
    queue.put("a", 1)
    assert queue.needs_worker
    queue.attach_worker(actor.ref)
    assert not queue.needs_worker
    assert actor.told == [WAKE]
    queue.put("b", 1)
    assert actor.told == [WAKE], "more would say nothing new"
    queue.take(9)
    queue.put("c", 1)
    assert actor.told == [WAKE], "it looks once more before it waits"
    queue.take(9)
    assert queue.take(9) == []
    actor.change()
    queue.put("d", 1)
    assert actor.told == [WAKE, WAKE]


async def test_an_empty_queue_needs_no_actor_and_a_full_mailbox_is_no_failure() -> None:
    queue, actor = WorkQueue[str](), FarEnd(capacity=0)
    assert not queue.needs_worker
    queue.attach_worker(actor.ref)
    queue.put("a", 1)
    assert queue.unsettled == 1


async def test_what_comes_after_the_actors_end_is_counted_and_not_kept() -> None:
    queue, actor = WorkQueue[str](), FarEnd()
    queue.attach_worker(actor.ref)
    actor.exit = "ended"
    actor.change(stopped=True)
    queue.put("a", 1, count=3)
    assert len(queue.spool) == 0
    assert queue.unsettled == 3


async def test_what_is_dropped_at_the_end_stays_unsettled() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.put("a", 1)
    queue.put("b", 1)
    queue.take(1)
    queue.close()
    assert queue.unsettled == 2
    assert queue.take(9) == []


async def test_room_returns_as_soon_as_there_is_some(autojump_clock: MockClock) -> None:
    queue = full_queue()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.room)
        await trio.sleep(PATIENCE / 2)
        queue.take(3)
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert trio.current_time() - start < PATIENCE


async def test_a_queue_that_does_not_move_is_waited_for_once(autojump_clock: MockClock) -> None:
    queue: WorkQueue[str] = WorkQueue()
    for number in range(40):
        queue.put(str(number), MEMORY // 40)
    assert queue.spool.is_over_high_water
    start = trio.current_time()
    with trio.move_on_after(100):
        await queue.room()
    assert trio.current_time() - start == pytest.approx(PATIENCE)


async def test_a_full_queue_that_is_stuck_is_waited_for_again_after_it_has_recovered(
    autojump_clock: MockClock,
) -> None:
    queue = full_queue()
    waits = []

    async def room() -> None:
        start = trio.current_time()
        await queue.room()
        waits.append(trio.current_time() - start)

    await room()
    await room()
    queue.take(1)
    queue.put("more", MEMORY // 4)
    await room()
    while queue.take(1):
        pass
    for number in range(4):
        queue.put(str(number), MEMORY // 4)
    await room()
    assert waits == pytest.approx([PATIENCE, 0, 0, PATIENCE])


async def run_in_supervisor(
    queue: WorkQueue[str], handle: Callable[[list[str]], None], *, batch: int = 2, troubles: list[Trouble]
) -> actors.Exit:
    async def take(items: list[str], settle: Callable[[], None]) -> None:
        handle(items)
        for _ in items:
            settle()
        await trio.lowlevel.checkpoint()

    async with actors.open_supervisor() as supervisor:
        ref = supervisor.start_soon(
            actors.actor(run_worker, queue, take, troubles.append, batch=batch), name="worker", capacity=1
        )
        queue.attach_worker(ref)
        ref.stop()
        return await ref.wait()


async def test_an_ordered_stop_drains_the_queue_in_batches() -> None:
    queue, handed = WorkQueue[str](), list[list[str]]()
    for item in "abcde":
        queue.put(item, 1)
    await run_in_supervisor(queue, handed.append, troubles=[])
    assert handed == [["a", "b"], ["c", "d"], ["e"]]
    assert queue.unsettled == 0


async def test_a_request_to_exit_is_told_and_the_rest_stays_unsettled() -> None:
    queue, troubles, request = WorkQueue[str](), list[Trouble](), SystemExit(3)
    for item in "abcde":
        queue.put(item, 1)

    def fail(items: list[str]) -> None:
        raise request

    exit = await run_in_supervisor(queue, fail, troubles=troubles)
    assert troubles == [Trouble(request)]
    assert exit.cause is None
    assert queue.unsettled == 5
    assert len(queue.spool) == 0


async def test_a_failure_of_the_handler_is_the_actors_own_and_closes_the_queue() -> None:
    queue, troubles = WorkQueue[str](), list[Trouble]()
    queue.put("a", 1)
    queue.put("b", 1)

    def fail(items: list[str]) -> None:
        raise OSError("no space")

    exit = await run_in_supervisor(queue, fail, batch=1, troubles=troubles)
    assert isinstance(exit.cause, OSError)
    assert troubles == []
    assert queue.unsettled == 2
    assert len(queue.spool) == 0
