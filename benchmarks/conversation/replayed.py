"""Events through a conversation whose agent is a recording, against splitting and decoding the same bytes."""

from __future__ import annotations

import json
import resource
import time

import trio

from optio_agents.conversation import AgentConversation, Text, open_conversation_over, views_of
from optio_agents.conversation.codecs.claude import ClaudeCodec

CHUNK = 64 * 1024
"""Bytes per read, as a pipe gives them."""

SESSION = "6f0bb0d4-4b2f-4d0e-9df5-02f0a0a5ad6c"


def make_output(events: int) -> bytes:
    """What an agent prints while it writes an answer of that many pieces (claude's shape and size)."""
    lines = []
    for number in range(events):
        delta = {"type": "text_delta", "text": f"word{number} "}
        inner = {"type": "content_block_delta", "index": 0, "delta": delta}
        event = {"type": "stream_event", "event": inner, "session_id": SESSION, "parent_tool_use_id": None}
        lines.append(
            json.dumps({**event, "uuid": f"{number:032x}", "api_message_id": "msg_f20951fb25cb4ad5"})
        )
    return "\n".join(lines).encode() + b"\n"


class Replayed:
    """A transport that answers the handshake, then prints `output` as fast as it is read."""

    def __init__(self, output: bytes) -> None:
        self._output = memoryview(output)
        self._place = 0
        self._hello = b""
        self._go = trio.Event()
        self._said_hello = trio.Event()

    def begin(self) -> None:
        """Start to print."""
        self._go.set()

    async def receive(self) -> bytes:
        """The next chunk."""
        await trio.lowlevel.checkpoint()
        if self._hello:
            hello, self._hello = self._hello, b""
            return hello
        if not self._said_hello.is_set():
            await self._said_hello.wait()
            return await self.receive()
        await self._go.wait()
        piece = bytes(self._output[self._place : self._place + CHUNK])
        self._place += len(piece)
        return piece

    async def send(self, data: bytes) -> None:
        """Answer the handshake."""
        await trio.lowlevel.checkpoint()
        for line in data.splitlines():
            request = json.loads(line)
            response = {"subtype": "success", "request_id": request.get("request_id"), "response": {}}
            if not self._said_hello.is_set():
                self._hello = json.dumps({"type": "control_response", "response": response}).encode() + b"\n"
                self._said_hello.set()

    async def end(self, *, ask: bool) -> None:
        """Nothing to end."""
        self._place = len(self._output)
        self._said_hello.set()
        self._go.set()
        await trio.lowlevel.checkpoint()

    async def wait(self) -> str:
        """It is gone at once."""
        await trio.lowlevel.checkpoint()
        return "printed everything"

    async def finish(self) -> None:
        """Nothing to release."""
        await self.end(ask=False)


def decode_only(output: bytes) -> float:
    """Seconds for splitting and decoding, nothing else."""
    start = time.perf_counter()
    rest = b""
    count = 0
    for place in range(0, len(output), CHUNK):
        *lines, rest = (rest + output[place : place + CHUNK]).split(b"\n")
        for line in lines:
            json.loads(line)
            count += 1
    return time.perf_counter() - start


async def through_conversation(output: bytes, events: int, *, hanging: int, typed: bool = False) -> float:
    """Seconds until two subscribers have had every event, with `hanging` others that never read.

    `typed`: both of them ask for the typed views of each event.
    """
    transport = Replayed(output)

    async def connect(nursery: trio.Nursery) -> Replayed:
        await trio.lowlevel.checkpoint()
        return transport

    async def read(conversation: AgentConversation, ready: trio.Event) -> None:
        count = 0
        with conversation.events() as subscription:
            ready.set()
            async for event in subscription:
                if typed:
                    count += sum(isinstance(view, Text) for view in views_of(event))
                else:
                    count += bool(event.text)
        assert count == events, f"{count} of {events}"

    async with open_conversation_over(connect, ClaudeCodec(), name="replayed") as conversation:
        hung = [conversation.events() for _ in range(hanging)]
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                ready = trio.Event()
                nursery.start_soon(read, conversation, ready)
                await ready.wait()
            start = time.perf_counter()
            transport.begin()
        elapsed = time.perf_counter() - start
        for subscription in hung:
            subscription.close()
    return elapsed


def measure_views(events: int) -> dict[str, float]:
    """What typed views cost, as a ratio of the speeds in the same process."""
    output = make_output(events)
    plain, typed = (
        min(trio.run(lambda: through_conversation(output, events, hanging=0, typed=asked)) for _ in range(3))  # noqa: B023
        for asked in (False, True)
    )
    return {
        "events": events,
        "two_subscribers_seconds": round(plain, 3),
        "with_typed_views_seconds": round(typed, 3),
        "speed_with_typed_views_relative_to_without": round(plain / typed, 2),
    }


def measure(events: int) -> dict[str, float]:
    """The figures, by their names."""
    output = make_output(events)
    decode = min(decode_only(output) for _ in range(3))
    plain = min(trio.run(lambda: through_conversation(output, events, hanging=0)) for _ in range(3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    beside = min(trio.run(lambda: through_conversation(output, events, hanging=3)) for _ in range(3))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "events": events,
        "megabytes": round(len(output) / 1e6, 1),
        "decode_only_seconds": round(decode, 3),
        "two_subscribers_seconds": round(plain, 3),
        "speed_relative_to_decoding": round(decode / plain, 2),
        "with_three_that_hang_seconds": round(beside, 3),
        "peak_growth_with_three_that_hang_mb": round((after - before) / 1024, 1),
    }
