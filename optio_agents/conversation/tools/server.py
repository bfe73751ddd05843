"""An owner's functions as a server of the Model Context Protocol, over one connection.

The protocol (its versions, cancellation, errors) is the official `mcp` package's, which runs on Trio through AnyIO. It
is imported when a conversation is opened with tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import trio
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    jsonrpc_message_adapter,
)

from optio_agents.conversation.codecs.json_lines import UNPARSEABLE, JsonLines
from optio_agents.conversation.tools.calls import ToolCalls

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.server.context import ServerRequestContext

READ_SIZE = 64 * 1024

SHOWN: dict[str, Any] = {"anthropic/alwaysLoad": True}
"""claude shows a server's tools to the model only once it has searched for them, unless they say this."""


class ToolServer:
    """Answers an agent's `tools/list` and `tools/call`. `name` is what the agent calls the server."""

    def __init__(self, name: str, calls: ToolCalls) -> None:
        self._calls = calls
        self._server: Server[object] = Server(name, on_list_tools=self._listed, on_call_tool=self._called)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection, until the agent ends it. Calls that are open then are cancelled."""
        heard_send, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        told, told_receive = anyio.create_memory_object_stream[SessionMessage](0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, stream, heard_send)
            nursery.start_soon(_tell, told_receive, stream)
            await self._server.run(heard, told, self._server.create_initialization_options())
            nursery.cancel_scope.cancel(reason="the agent has left")

    async def _listed(
        self, context: ServerRequestContext[object], page: PaginatedRequestParams | None
    ) -> ListToolsResult:
        functions = self._calls.functions.values()
        return ListToolsResult(
            tools=[
                Tool(name=each.name, description=each.description, input_schema=each.schema, _meta=SHOWN)
                for each in functions
            ]
        )

    async def _called(
        self, context: ServerRequestContext[object], params: CallToolRequestParams
    ) -> CallToolResult:
        result = await self._calls.call(params.name, params.arguments or {})
        content = [TextContent(type="text", text=result.text)]
        return CallToolResult(content=[*content], is_error=result.is_error)


async def _listen(
    stream: trio.SocketStream, heard: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    lines = JsonLines()
    async with heard:
        while data := await _received(stream):
            for record in lines.feed(data):
                if record.get("type") == UNPARSEABLE:
                    await heard.send(ValueError(str(record["reason"])))
                    continue
                try:
                    message = jsonrpc_message_adapter.validate_python(record, by_name=False)
                except ValueError as error:
                    await heard.send(error)
                else:
                    await heard.send(SessionMessage(message))


async def _received(stream: trio.SocketStream) -> bytes:
    try:
        return bytes(await stream.receive_some(READ_SIZE))
    except trio.BrokenResourceError:
        return b""


async def _tell(told: MemoryObjectReceiveStream[SessionMessage], stream: trio.SocketStream) -> None:
    async with told:
        async for message in told:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await stream.send_all(text.encode(errors="replace") + b"\n")
            except trio.BrokenResourceError:
                return
