"""Where an agent reaches its owner's functions: a Unix socket in a directory of our own, for its own processes only.

The directory keeps other users out. Other processes of the same user are kept out by their pid: a connection is served
if its process belongs to the tree of the agent.
"""

from __future__ import annotations

import logging
import shutil
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.mcp_servers import McpCommand
from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.tools import stdio_relay
from optio_agents.conversation.tools.calls import ToolCalls
from optio_agents.conversation.tools.functions import Function, tool_functions
from optio_agents.conversation.values import ConversationState
from optio_agents.hosts.processes.process_tree import ProcessTree

logger = logging.getLogger(__name__)

SERVER_NAME = "optio"
"""The agent's name for our server: claude calls a tool `mcp__optio__search`."""

CONNECTION_LIMIT = 32
"""How many connections are served at once: one for each session of an agent and its subagents."""

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class ToolListener:
    """Serves the connections of one agent. `server` is the command that the agent starts."""

    def __init__(
        self,
        calls: ToolCalls,
        path: Path,
        serve: Callable[[trio.SocketStream], Awaitable[None]],
        nursery: trio.Nursery,
    ) -> None:
        self._calls = calls
        self._nursery = nursery
        self._serve = serve
        self._serving = trio.CancelScope()
        self._connections = 0
        self._tree: ProcessTree | None = None
        relay = [sys.executable, "-I", "-S", stdio_relay.__file__, str(path)]
        self.server = McpCommand(SERVER_NAME, relay)

    def admit(self, tree: ProcessTree) -> None:
        """Serve connections of this tree's processes from now on; there was none before."""
        self._tree = tree

    def follow(self, conversation: AgentConversation) -> None:
        """End calls with the turns of this conversation from now on, and all connections when it begins to close."""
        self._nursery.start_soon(self._calls.follow, conversation, conversation.results())
        self._nursery.start_soon(self._close_with, conversation)

    async def serve(self, listening: trio.SocketListener) -> None:
        """Serve what connects, until the conversation begins to close."""
        with self._serving:
            await trio.serve_listeners(self.connected, [listening])

    async def _close_with(self, conversation: AgentConversation) -> None:
        await conversation.wait_state(ConversationState.CLOSED)
        # gemini does not end at the end of its input while a server is connected (measured with 0.61.0).
        self._serving.cancel(reason="the conversation is closed")

    async def connected(self, stream: trio.SocketStream) -> None:
        """Serve a connection, or refuse it. What fails in one connection ends that one."""
        async with stream:
            pid = _peer(stream)
            if not self._is_agents(pid):
                logger.warning("process %d is none of the agent's, so it gets none of its tools", pid)
            elif self._connections >= CONNECTION_LIMIT:
                logger.warning("%d connections to an agent's tools: no more", self._connections)
            else:
                self._connections += 1
                try:
                    await self._serve(stream)
                except Exception:
                    logger.exception("a connection to an agent's tools failed")
                finally:
                    self._connections -= 1

    def _is_agents(self, pid: int) -> bool:
        return self._tree is not None and any(each.pid == pid for each in self._tree.members())


def _peer(stream: trio.SocketStream) -> int:
    """The process at the other end, as it was when it connected; 0 if it is in no pid namespace that we see."""
    told = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(told)[0]
    return pid


@asynccontextmanager
async def open_tool_listener(
    functions: Iterable[Function], boundary: Boundary, options: ConversationOptions
) -> AsyncGenerator[ToolListener]:
    """Listen for the length of the block. In the end the socket is gone, and no call is open.

    Raises:
        TypeError, ValueError: a function cannot be a tool.
        ImportError: the extra `tools` is not installed.
    """
    calls = ToolCalls(tool_functions(functions), boundary, options)
    try:
        from optio_agents.conversation.tools.server import ToolServer
    except ImportError as error:
        raise ImportError(
            f"tools need the `mcp` package ({error}): pip install 'optio-agents[tools]'"
        ) from error
    directory = Path(tempfile.mkdtemp(prefix="optio-tools-"))  # mode 0700
    try:
        path = directory / "socket"
        listening = trio.socket.socket(socket.AF_UNIX)
        with listening:
            await listening.bind(str(path))
            listening.listen()
            async with trio.open_nursery() as nursery:
                listener = ToolListener(calls, path, ToolServer(SERVER_NAME, calls).serve, nursery)
                nursery.start_soon(listener.serve, trio.SocketListener(listening))
                yield listener
                nursery.cancel_scope.cancel(reason="the conversation has ended")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
