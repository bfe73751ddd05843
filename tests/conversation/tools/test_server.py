"""The functions as an MCP server: by hand what an agent says, over a real socket."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio

from optio_agents.bridge.trio_boundary import TrioBoundary
from optio_agents.conversation import ConversationOptions
from optio_agents.conversation.tools.calls import ToolCalls
from optio_agents.conversation.tools.functions import Function, tool_functions
from optio_agents.conversation.tools.server import ToolServer

Record = dict[str, Any]


class Client:
    """The agent's end of a connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._rest = b""

    async def say(self, method: str, params: Record | None = None, **record: Any) -> None:
        line = {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {}), **record}
        await self.stream.send_all(json.dumps(line).encode() + b"\n")

    async def hear(self) -> Record:
        while b"\n" not in self._rest:
            data = bytes(await self.stream.receive_some())
            assert data, "the server has ended the connection"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        record: Record = json.loads(line)
        return record

    async def open(self) -> Record:
        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        await self.say("initialize", params, id=0)
        answer = await self.hear()
        await self.say("notifications/initialized")
        return answer


@asynccontextmanager
async def connected(*functions: Function) -> AsyncGenerator[Client]:
    calls = ToolCalls(tool_functions(functions), TrioBoundary(), ConversationOptions())
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair())

    async def serve() -> None:
        async with ours:
            await ToolServer("optio", calls).serve(ours)

    async with trio.open_nursery() as nursery, theirs:
        nursery.start_soon(serve)
        yield Client(theirs)
    # The nursery has ended: the server ends with its connection.


async def add(left: int, right: int = 1) -> int:
    """Add two numbers."""
    return left + right


async def fail() -> None:
    """Fail."""
    raise LookupError("no such hut")


async def test_tools_are_listed_and_called() -> None:
    async with connected(add, fail) as client:
        assert (await client.open())["result"]["serverInfo"]["name"] == "optio"
        await client.say("tools/list", id=1)
        tools = (await client.hear())["result"]["tools"]
        assert [(tool["name"], tool["description"]) for tool in tools] == [
            ("add", "Add two numbers."),
            ("fail", "Fail."),
        ]
        assert tools[0]["inputSchema"]["required"] == ["left"]
        await client.say("tools/call", {"name": "add", "arguments": {"left": 2}}, id=2)
        result = (await client.hear())["result"]
        assert (result["content"][0]["text"], result["isError"]) == ('{"result":3}', False)
        await client.say("tools/call", {"name": "fail"}, id=3)
        result = (await client.hear())["result"]
        assert (result["content"][0]["text"], result["isError"]) == ("LookupError: no such hut", True)


async def test_the_agent_cancels_a_call_and_the_connection_goes_on() -> None:
    called, cancelled = trio.Event(), trio.Event()

    async def hang() -> None:
        """Hang."""
        called.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with connected(hang, add) as client:
        await client.open()
        await client.say("tools/call", {"name": "hang"}, id=1)
        await called.wait()
        await client.say("notifications/cancelled", {"requestId": 1})
        await cancelled.wait()
        await client.say("tools/call", {"name": "add", "arguments": {"left": 1}}, id=2)
        while (answer := await client.hear())["id"] != 2:
            assert "result" not in answer
        assert answer["result"]["content"][0]["text"] == '{"result":2}'


async def test_an_agent_that_leaves_cancels_its_calls() -> None:
    called, cancelled = trio.Event(), trio.Event()

    async def hang() -> None:
        """Hang."""
        called.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with connected(hang) as client:
        await client.open()
        await client.say("tools/call", {"name": "hang"}, id=1)
        await called.wait()
        await client.stream.aclose()
        await cancelled.wait()


async def test_lines_that_are_no_messages_cost_themselves() -> None:
    async with connected(add) as client:
        await client.open()
        for line in (
            b"[]\n",
            b"{\n",
            b'{"a": 1}\n',
            b'{"jsonrpc": "2.0", "method": 7, "id": []}\n',
            b"\xff\n",
        ):
            await client.stream.send_all(line)
        await client.say("tools/call", {"name": "add", "arguments": {"left": 1}}, id=2)
        while (answer := await client.hear()).get("id") != 2:
            assert "error" in answer
        assert answer["result"]["content"][0]["text"] == '{"result":2}'
