"""The private socket: whom it serves, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.bridge.trio_boundary import TrioBoundary
from optio_agents.conversation import ConversationOptions
from optio_agents.conversation.tools.listener import ToolListener, open_tool_listener
from optio_agents.hosts.processes.owned import OwnedProcess

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}


async def add(left: int) -> int:
    """Add."""
    return left


async def start_relay(listener: ToolListener) -> OwnedProcess:
    """What an agent does: a shell starts the program that it was told."""
    command = ["sh", "-c", '"$@"; true', "sh", *listener.server.command]
    environment = {"PATH": os.environ["PATH"]}
    return await OwnedProcess.start(
        command, environment=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


async def answer_to(relay: OwnedProcess, request: dict[str, Any] = INITIALIZE) -> bytes:
    """The first line that it answers; empty if it has ended."""
    assert relay.stdin is not None
    assert relay.stdout is not None
    try:
        await relay.stdin.send_all(json.dumps(request).encode() + b"\n")
    except trio.BrokenResourceError:
        return b""
    answer = b""
    while not answer.endswith(b"\n") and (data := await relay.stdout.receive_some()):
        answer += bytes(data)
    return answer


async def test_only_processes_of_the_agent_are_served() -> None:
    async with open_tool_listener([add], TrioBoundary(), ConversationOptions()) as listener:
        other = await start_relay(listener)
        assert await answer_to(other) == b""  # there is no agent yet
        agent = await start_relay(listener)
        listener.admit(agent.tree)
        assert b'"serverInfo"' in await answer_to(agent)
        another = await start_relay(listener)
        assert await answer_to(another) == b""
        for process in (other, agent, another):
            await process.end()
            await process.close_streams()


async def test_the_relay_ends_with_the_listener_and_nothing_is_left() -> None:
    async with open_tool_listener([add], TrioBoundary(), ConversationOptions()) as listener:
        path = Path(listener.server.command[-1])
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        relay = await start_relay(listener)
        listener.admit(relay.tree)
        assert b'"serverInfo"' in await answer_to(relay)
    assert not path.parent.exists()
    await relay.wait()  # its output has ended, and so does it
    await relay.end()
    await relay.close_streams()


async def test_the_relay_ends_with_the_agent() -> None:
    async with open_tool_listener([add], TrioBoundary(), ConversationOptions()) as listener:
        relay = await start_relay(listener)
        listener.admit(relay.tree)
        assert b'"serverInfo"' in await answer_to(relay)
        assert relay.stdin is not None
        await relay.stdin.aclose()
        await relay.wait()
        await relay.end()
        await relay.close_streams()


def test_an_asyncio_program_offers_functions_of_its_own_world() -> None:
    async def where() -> str:
        """Tell where it runs."""
        await asyncio.sleep(0)
        return type(asyncio.get_running_loop()).__module__

    async def within_trio(boundary: Boundary) -> bytes:
        async with open_tool_listener([where], boundary, ConversationOptions()) as listener:
            relay = await start_relay(listener)
            listener.admit(relay.tree)
            await answer_to(relay)
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "where"}}
            answer = await answer_to(relay, call)
            await relay.end()
            await relay.close_streams()
        return answer

    async def main() -> bytes:
        return await run_in_trio(within_trio)

    assert b"asyncio" in asyncio.run(main())


async def test_without_the_mcp_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "optio_agents.conversation.tools.server", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    with pytest.raises(ImportError, match=r"pip install 'optio-agents\[tools\]'"):
        async with open_tool_listener([add], TrioBoundary(), ConversationOptions()):
            pass
