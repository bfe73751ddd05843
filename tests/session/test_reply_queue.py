"""Replies on their way to the sender: in order, counted until they are sent, never blocking."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from optio_agents.session.recorder import Recorder
from optio_agents.session.reply_queue import ReplyQueue
from tests.support.session import RecordingCtx
from tests.support.session_parts import FarEnd


def replies(sender: FarEnd) -> tuple[ReplyQueue, Recorder]:
    recorder = Recorder(RecordingCtx(), None)
    return ReplyQueue(sender.ref, recorder), recorder


async def test_a_reply_goes_out_at_once_while_there_is_room() -> None:
    sender = FarEnd()
    queue, recorder = replies(sender)
    queue.put("a")
    queue.put("b")
    assert sender.told == ["a", "b"]
    assert recorder.unsaid == 2
    await queue.flush()
    assert sender.told == ["a", "b"]


async def test_what_finds_no_room_waits_for_the_flush_and_nothing_overtakes_it() -> None:
    sender = FarEnd(capacity=2)
    queue, recorder = replies(sender)
    for message in "abcd":
        queue.put(message)
    assert sender.told == ["a", "b"]
    sender.change()
    queue.put("e")
    assert sender.told == ["a", "b"], "c is first"
    assert recorder.unsaid == 5
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.flush)
        await wait_all_tasks_blocked()
        assert sender.told == list("abcd")
        sender.change()
    assert sender.told == list("abcde")


async def test_a_flush_that_is_cancelled_loses_and_repeats_nothing() -> None:
    sender = FarEnd(capacity=1)
    queue, _ = replies(sender)
    for message in "abc":
        queue.put(message)
    with trio.CancelScope() as scope:
        scope.cancel()
        await queue.flush()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.flush)
        await wait_all_tasks_blocked()
        sender.change()
        await wait_all_tasks_blocked()
        sender.change()
    assert sender.told == list("abc")


async def test_replies_to_a_sender_that_has_ended_stay_unsaid() -> None:
    sender = FarEnd(capacity=1)
    queue, recorder = replies(sender)
    queue.put("a")
    queue.put("b")
    queue.put("c")
    sender.change(stopped=True)
    await queue.flush()
    queue.put("d")
    sender.change()
    await queue.flush()
    assert sender.told == ["a"]
    assert recorder.unsaid == 4
