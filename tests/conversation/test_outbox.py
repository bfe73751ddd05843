"""What waits to be written to an agent is bounded, and an agent that does not read ends its conversation."""

from __future__ import annotations

import json
import sys

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.conversation import (
    ConversationClosed,
    ConversationOptions,
    Fate,
    PermissionDecision,
    TurnStatus,
    acp,
    open_conversation,
)
from optio_agents.conversation.outbox import Outbox
from optio_agents.conversation.turns.pending_requests import OPEN_LIMIT
from tests.support.simulated_transport import SimulatedTransport, simulated

REQUESTS = 2_000
SMALL = ConversationOptions(outbox_bytes=10_000)
HANG_GUARD = 60.0


class StuckTransport(SimulatedTransport):
    """Takes one write after another while `open` is set; notes them."""

    def __init__(self) -> None:
        super().__init__()
        self.open = trio.Event()
        self.writes: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self.writes.append(data)
        await self.open.wait()


class FloodingTransport(SimulatedTransport):
    """After its first prompt the agent reads nothing more, and asks for `REQUESTS` permissions.

    It asks for `at_once` of them in one breath, and for the next when all that follows from those has been done.
    """

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self._at_once = at_once

    async def send(self, data: bytes) -> None:
        await super().send(data)
        if b"prompt" in data:
            self.mute = True
            for number in range(REQUESTS):
                asked = {"say": "asked", "key": f"k{number}", "turn": 1, "tool": "x", "input": {}}
                self.print(json.dumps(asked).encode() + b"\n")
                if number % self._at_once == 0:
                    await wait_all_tasks_blocked()
            await trio.sleep_forever()


@pytest.mark.parametrize(
    ("at_once", "decided"),
    [(OPEN_LIMIT + 100, False), (1, True)],
    ids=["denied unseen", "decided by a handler"],
)
async def test_an_agent_that_asks_on_and_on_without_reading_the_answers_ends_its_conversation(
    autojump_clock: MockClock, at_once: int, decided: bool
) -> None:
    transport = FloodingTransport(at_once)
    with pytest.raises(ConversationClosed, match="does not read its input: more than 10000 bytes wait"):
        async with simulated(transport, options=SMALL) as (conversation, _):
            if decided:
                conversation.on_permission_request(lambda request: PermissionDecision("allow"))
            running = await conversation.send("hang")
            queued = await conversation.send("say:later")
            with trio.fail_after(HANG_GUARD):
                await conversation.wait_closed()
            lost, unsent = await running.wait(), await queued.wait()
            assert lost.turn is not None
            assert lost.turn.status is TurnStatus.LOST
            assert "does not read its input" in (lost.turn.error or "")
            assert unsent.fate is Fate.UNSENT
            assert (await conversation.close()).unsent == ("say:later",)
            assert transport.ended[0] == "killed"
            await conversation.send("say:more")


async def test_the_process_of_an_agent_that_does_not_read_is_ended() -> None:
    script = f"""
import json, sys
say = lambda **fields: print(json.dumps({{"jsonrpc": "2.0", **fields}}), flush=True)
for answer in ({{"protocolVersion": 1}}, {{"sessionId": "s"}}):
    say(id=json.loads(sys.stdin.readline())["id"], result=answer)
sys.stdin.readline()
for number in range({100 * REQUESTS}):
    say(id=f"r{{number}}", method="fs/read_text_file", params={{}})
import signal
signal.pause()
"""
    agent = acp("flooding", [sys.executable, "-c", script])
    with trio.fail_after(HANG_GUARD), pytest.raises(ConversationClosed, match="does not read its input"):
        async with open_conversation(agent, workdir=".", options=SMALL) as conversation:
            await conversation.ask("begin")


async def test_what_waits_is_written_in_one_piece_as_soon_as_the_agent_reads_again() -> None:
    outbox, transport = Outbox(100), StuckTransport()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.write_to, transport)
        for word in (b"first ", b"second ", b"third "):
            assert outbox.put(word)
            await wait_all_tasks_blocked()
        assert transport.writes == [b"first "]
        transport.open.set()
        await outbox.flushed()
        assert transport.writes == [b"first ", b"second third "]
        nursery.cancel_scope.cancel()


async def test_past_the_limit_nothing_more_is_taken_until_the_agent_reads_again() -> None:
    outbox, transport = Outbox(100), StuckTransport()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.write_to, transport)
        # Nothing is being written yet, so even a long text has not made any other wait.
        assert outbox.put(b"x" * 1000)
        assert outbox.put(b"y")
        await wait_all_tasks_blocked()
        assert outbox.put(b"z" * 1000)
        assert not outbox.put(b"refused")
        transport.open.set()
        await outbox.flushed()
        assert outbox.put(b"again")
        await outbox.flushed()
        assert b"".join(transport.writes) == b"x" * 1000 + b"y" + b"z" * 1000 + b"again"
        nursery.cancel_scope.cancel()


async def test_once_the_agent_is_gone_whatever_is_put_is_ignored() -> None:
    outbox, transport = Outbox(1), SimulatedTransport()
    transport.die()
    async with trio.open_nursery() as nursery:
        assert outbox.put(b"nobody reads this")
        nursery.start_soon(outbox.write_to, transport)
    assert outbox.put(b"nor this")
    assert outbox.put(b"nor this")
    await outbox.flushed()
