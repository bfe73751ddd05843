"""Python functions as tools of real agents: called, and their results used; hanging, raising, returning too much."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
import trio

from optio_agents.conversation import ConversationOptions, InterruptKind, PermissionDecision, TurnStatus
from optio_agents.conversation.mcp_servers import McpCommand
from tests.agents import install
from tests.support.agent_lab import HANG_GUARD, PATIENT, Lab

pytestmark = pytest.mark.agents

AGENTS = ["claude", "codex", "gemini", *(["opencode"] if install.command("opencode") else [])]
"""opencode is large and slow to start: `make test-agents AGENTS="claude codex gemini opencode"` brings it."""

MCP_SERVER = str(Path(__file__).parents[1] / "support" / "mcp_server.py")


def call(agent: str, tool: str, server: str = "optio", **arguments: object) -> str:
    """The prompt with which the model calls a tool of an MCP server."""
    names = {
        "claude": f"mcp__{server}__{tool}",
        "codex": f"mcp__{server}.{tool}",
        "gemini": f"mcp_{server}_{tool}",
        "opencode": f"{server}_{tool}",
    }
    return f"[[tool {names[agent]} {json.dumps(arguments)}]]"


class Trip(msgspec.Struct):
    to: str
    nights: int


async def search(
    words: str, limit: Annotated[int, msgspec.Meta(ge=1, description="how many")] = 3
) -> list[str]:
    """Search the catalogue."""
    return [f"{words} {number}" for number in range(limit)]


async def book(trip: Trip) -> str:
    """Book a trip."""
    return f"booked {trip.nights} nights in {trip.to}"


@pytest.mark.parametrize("name", AGENTS)
async def test_functions_of_ours_are_called_and_their_results_used(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, tools=[search, book]) as conversation:
            await conversation.ask(call(name, "search", words="hut", limit=2))
            assert "hut 0" in lab.read_by_model()
            assert "hut 1" in lab.read_by_model()
            booked = await conversation.ask(call(name, "book", trip={"to": "Uppsala", "nights": 2}))
            assert "booked 2 nights in Uppsala" in booked.text
            assert conversation.permission_requests == ()


@pytest.mark.parametrize("name", AGENTS)
async def test_the_model_reads_what_is_wrong_with_a_call_and_what_a_function_raises(
    lab: Lab, name: str
) -> None:
    async def fail() -> None:
        """Fail."""
        raise ConnectionError("the catalogue is closed")

    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, tools=[search, fail]) as conversation:
            await conversation.ask(call(name, "fail"))
            assert "ConnectionError: the catalogue is closed" in lab.read_by_model()
            await conversation.ask(call(name, "search", words="hut", limit="many"))
            assert "limit" in lab.read_by_model()  # gemini checks the arguments itself


@pytest.mark.parametrize("name", AGENTS)
async def test_an_interrupt_cancels_the_function_that_hangs(lab: Lab, name: str) -> None:
    called, cancelled = trio.Event(), trio.Event()

    async def hang() -> None:
        """Hang."""
        called.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, tools=[hang]) as conversation:
            sent = await conversation.send(call(name, "hang"))
            await called.wait()
            receipt = await conversation.interrupt()
            assert receipt.kind is InterruptKind.INTERRUPTED
            await cancelled.wait()
            end = await sent.wait()
            assert end.turn is not None
            assert end.turn.status is TurnStatus.INTERRUPTED
            assert (await conversation.ask("[[say next]]")).text.strip() == "next"


@pytest.mark.parametrize("name", AGENTS)
async def test_a_function_that_takes_too_long_is_cancelled_and_the_model_reads_so(
    lab: Lab, name: str
) -> None:
    async def hang() -> None:
        """Hang."""
        await trio.sleep_forever()

    options = ConversationOptions(start_seconds=PATIENT.start_seconds, tool_seconds=0.5)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, tools=[hang], options=options) as conversation:
            await conversation.ask(call(name, "hang"))
            assert "hang took longer than 0.5 s and was cancelled" in lab.read_by_model()


@pytest.mark.parametrize("name", AGENTS)
async def test_of_ten_megabytes_the_model_reads_both_ends(lab: Lab, name: str) -> None:
    async def read() -> str:
        """Read a lot."""
        return "first" + "x" * 10_000_000 + "last"

    options = ConversationOptions(start_seconds=PATIENT.start_seconds, tool_result_characters=150)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, tools=[read], options=options) as conversation:
            await conversation.ask(call(name, "read"))
            read_by_model = lab.read_by_model()
            assert "firstxxx" in read_by_model
            assert "characters left out" in read_by_model
            assert "xxxlast" in read_by_model


@pytest.mark.parametrize("name", AGENTS)
async def test_servers_of_others_are_offered_beside_our_functions(lab: Lab, name: str) -> None:
    asked = []

    def decide(request: object) -> PermissionDecision:
        asked.append(request)
        return PermissionDecision("allow")

    server = McpCommand("el", [sys.executable, MCP_SERVER])
    with trio.fail_after(HANG_GUARD):
        options = replace(PATIENT, ask_seconds=1)  # with a server connected, gemini does not end by itself
        async with lab.talk(name, tools=[search], mcp_servers=[server], options=options) as conversation:
            conversation.on_permission_request(decide)
            result = await conversation.ask(call(name, "echo", server="el", text="hello"))
            assert "echo hello" in result.text
            assert "hut 0" in (await conversation.ask(call(name, "search", words="hut"))).text
            assert len(asked) == (0 if name == "opencode" else 1)  # opencode's default allows them
