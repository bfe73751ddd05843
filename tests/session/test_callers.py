"""Messages on their way to the callback: in order, counted one by one, answered, never silently lost."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio

import actors
from optio_agents.bridge import TrioBoundary
from optio_agents.context import HookContext
from optio_agents.session.callers import Callers
from optio_agents.session.recorder import Recorder
from optio_agents.session.work_queue import WorkQueue
from tests.support.session import RecordingCtx

BLOCKS = [("1\n[2]", ["a", "a"]), ('{"three": 3}', ["b"])]
CONTEXT = cast(HookContext, object())


class Sender:
    """The far end, as far as `Callers` needs it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.is_full = False

    def try_tell(self, message: str) -> None:
        if self.is_full:
            raise actors.MailboxFull("sender", 1)
        self.told.append(message)

    async def tell(self, message: str) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append(message)


class Handed:
    """`BLOCKS` in a queue's hand, about to be handed over."""

    def __init__(self, callback: Any) -> None:
        self.ctx = RecordingCtx()
        self.sender = Sender()
        sender = cast("actors.Ref[str]", self.sender)
        self.callers = Callers(TrioBoundary(), CONTEXT, Recorder(self.ctx, None), callback, sender, 5.0)
        self.queue: WorkQueue[tuple[str, list[str]]] = WorkQueue()
        for texts, keywords in BLOCKS:
            self.queue.put((texts, keywords), len(texts), len(keywords))

    async def over(self) -> None:
        await self.callers.handle(self.queue.take(10), self.queue.settle)


async def test_each_message_is_handed_over_in_order_and_settled() -> None:
    unsettled: list[int] = []
    seen: list[tuple[str, object]] = []

    async def callback(hook_ctx: object, keyword: str, data: object) -> str | None:
        assert hook_ctx is CONTEXT
        unsettled.append(handed.queue.unsettled)
        seen.append((keyword, data))
        return f"got {keyword}" if len(seen) != 2 else "  "

    handed = Handed(callback)
    await handed.over()
    assert seen == [("a", 1), ("a", [2]), ("b", {"three": 3})]
    assert unsettled == [3, 2, 1]
    assert handed.queue.unsettled == 0
    assert handed.sender.told == ["got a", "got b"]


async def test_replies_that_find_no_room_are_passed_on_at_the_end() -> None:
    async def callback(hook_ctx: object, keyword: str, data: object) -> str:
        return f"got {data}"

    handed = Handed(callback)
    handed.sender.is_full = True
    await handed.over()
    assert handed.sender.told == ["got 1", "got [2]", "got {'three': 3}"]


async def test_a_callback_that_raises_is_named_by_its_keyword_and_counts_as_settled() -> None:
    async def callback(hook_ctx: object, keyword: str, data: object) -> None:
        if data != 1:
            raise LookupError(str(data))

    handed = Handed(callback)
    await handed.over()
    assert handed.queue.unsettled == 0
    assert handed.ctx.messages == [
        "on_caller_message failed for a: LookupError('[2]')",
        "on_caller_message failed for b: LookupError(\"{'three': 3}\")",
    ]


async def test_what_was_not_handed_over_stays_unsettled(autojump_clock: trio.testing.MockClock) -> None:
    async def callback(hook_ctx: object, keyword: str, data: object) -> None:
        if data != 1:
            await trio.sleep_forever()

    handed = Handed(callback)
    with trio.move_on_after(1):
        await handed.over()
    assert handed.queue.unsettled == 2


async def test_a_request_to_exit_leaves_the_rest_unsettled() -> None:
    async def callback(hook_ctx: object, keyword: str, data: object) -> None:
        raise SystemExit(3)

    handed = Handed(callback)
    with pytest.raises(SystemExit):
        await handed.over()
    assert handed.queue.unsettled == 3
