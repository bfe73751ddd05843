"""How each backend gets its MCP servers, and which of their tools are allowed without asking."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import BackendStartFailed, Codec, PermissionAsked, Ready
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.mcp_servers import AnyMcpServer, McpCommand, checked_servers
from optio_agents.conversation.turns.owner_commands import Turns
from optio_agents.conversation.turns.turn_state import TurnState
from optio_agents.mcp import McpServer

PROGRAM = McpCommand("el", ["/bin/el", "--fast"], {"KEY": "secret"})
REMOTE = McpServer("docs", "https://docs.example/mcp", {"authorization": "secret"})
Record = dict[str, Any]


def written(codec: Codec) -> list[Record]:
    return [json.loads(line) for line in codec.take_output().splitlines()]


def say(codec: Codec, *records: Record) -> list[Any]:
    return codec.receive(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def test_claude_is_told_after_it_has_started_and_is_ready_once_it_has_connected() -> None:
    codec = ClaudeCodec()
    codec.mcp_servers = (PROGRAM, REMOTE)
    codec.start()
    (initialize,) = written(codec)
    done = {"subtype": "success", "request_id": initialize["request_id"], "response": {}}
    assert not any(
        isinstance(each, Ready) for each in say(codec, {"type": "control_response", "response": done})
    )
    (told,) = written(codec)
    assert told["request"]["subtype"] == "mcp_set_servers"
    servers = told["request"]["servers"]
    assert servers["el"]["command"] == "/bin/el"
    assert (servers["el"]["args"], servers["el"]["env"]) == (["--fast"], {"KEY": "secret"})
    assert (servers["docs"]["type"], servers["docs"]["headers"]) == ("http", {"authorization": "secret"})
    done["request_id"] = told["request_id"]
    assert any(isinstance(each, Ready) for each in say(codec, {"type": "control_response", "response": done}))


@pytest.mark.parametrize("thread", [None, "t1"])
def test_codex_is_told_with_its_thread(thread: str | None) -> None:
    codec = CodexCodec(cwd="/w", thread=thread)
    codec.mcp_servers = (PROGRAM, REMOTE)
    codec.start()
    (initialize,) = written(codec)
    say(codec, {"id": initialize["id"], "result": {}})
    _, opening = written(codec)
    servers = opening["params"]["config"]["mcp_servers"]
    assert (servers["el"]["command"], servers["el"]["args"]) == ("/bin/el", ["--fast"])
    assert servers["docs"]["http_headers"] == {"authorization": "secret"}


def opened(*servers: AnyMcpServer, remote: bool) -> tuple[list[Any], list[Record]]:
    """The consequences of an agent's answer to `initialize`, and what is sent then."""
    codec = AcpCodec(cwd="/w")
    codec.mcp_servers = servers
    codec.start()
    (initialize,) = written(codec)
    capabilities = {"mcpCapabilities": {"http": remote}}
    answer = {"protocolVersion": 1, "agentCapabilities": capabilities}
    return say(codec, {"id": initialize["id"], "result": answer}), written(codec)


def test_an_acp_agent_is_told_with_its_session() -> None:
    _, (opening,) = opened(PROGRAM, REMOTE, remote=True)
    assert opening["params"]["mcpServers"] == [
        {
            "name": "el",
            "command": "/bin/el",
            "args": ["--fast"],
            "env": [{"name": "KEY", "value": "secret"}],
        },
        {
            "type": "http",
            "name": "docs",
            "url": "https://docs.example/mcp",
            "headers": [{"name": "authorization", "value": "secret"}],
        },
    ]


def test_an_acp_agent_that_takes_no_remote_servers_is_not_started_without_them() -> None:
    items, told = opened(PROGRAM, REMOTE, remote=False)
    assert BackendStartFailed("it does not take remote MCP servers (docs)") in items
    assert told == []


def test_secrets_are_not_in_a_repr() -> None:
    assert "secret" not in repr((PROGRAM, REMOTE))


@pytest.mark.parametrize(
    ("name", "command", "complaint"),
    [
        ("a b", ["x"], "letters, digits, _ and -"),
        ("a", [], "a program and its arguments"),
        ("a", "x y", "a program and its arguments"),
        ("a", ["x", 1], "an element that is no str"),
    ],
)
def test_what_is_no_server_is_refused(name: str, command: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        McpCommand(name, command)


def test_servers_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two MCP servers have the name 'el'"):
        checked_servers([PROGRAM, PROGRAM])
    with pytest.raises(TypeError, match="not dict"):
        checked_servers([{"el": {}}])  # type: ignore[list-item]


# Permissions.

CLAUDE: Record = {
    "type": "control_request",
    "request_id": "q",
    "request": {
        "subtype": "can_use_tool",
        "tool_name": "mcp__optio__search",
        "mcp_server": {"name": "optio"},
        "input": {},
    },
}
CODEX: Record = {
    "id": 0,
    "method": "mcpServer/elicitation/request",
    "params": {
        "serverName": "optio",
        "_meta": {"codex_approval_kind": "mcp_tool_call", "tool_name": "search", "tool_params": {}},
    },
}
GEMINI: Record = {
    "id": 0,
    "method": "session/request_permission",
    "params": {
        "toolCall": {"toolCallId": "c", "title": "search (optio MCP Server)", "kind": "other"},
        "options": [
            {"optionId": "proceed_always_server", "kind": "allow_always", "name": "all"},
            {"optionId": "proceed_once", "kind": "allow_once", "name": "once"},
            {"optionId": "cancel", "kind": "reject_once", "name": "no"},
        ],
    },
}
ASKED = [(ClaudeCodec(), CLAUDE), (CodexCodec(cwd="/w"), CODEX), (AcpCodec(cwd="/w"), GEMINI)]


@pytest.mark.parametrize(("codec", "record"), ASKED, ids=lambda each: getattr(each, "name", ""))
def test_a_function_of_the_owners_is_allowed_without_asking(codec: Codec, record: Record) -> None:
    turns = Turns(TurnState(codec))
    codec.own_server = None
    asked = [each for each in say(codec, record) if isinstance(each, PermissionAsked)]
    assert [each.server for each in asked] == ["optio"]
    codec.cancel_request(asked[0].key)
    codec.take_output()
    codec.own_server = "optio"
    turns.receive(json.dumps(record).encode() + b"\n")
    assert len(turns.turn_state.requests) == 0
    answer = json.dumps(written(codec))
    assert "allow" in answer or "accept" in answer or "proceed_once" in answer


def gemini_command(title: str) -> Record:
    """A shell command, whose title is the command."""
    options = [{"optionId": "proceed_once", "kind": "allow_once", "name": "once"}]
    call = {"toolCallId": "c", "title": title, "kind": "execute"}
    return {
        "id": 0,
        "method": "session/request_permission",
        "params": {"toolCall": call, "options": options},
    }


@pytest.mark.parametrize(
    "record",
    [
        gemini_command("rm -r / (optio MCP Server)"),
        {
            **GEMINI,
            "params": {**GEMINI["params"], "toolCall": {"title": "x (optio MCP Server) (el MCP Server)"}},
        },
        {**GEMINI, "params": {**GEMINI["params"], "toolCall": {"title": "x (optio MCP Server) rm"}}},
    ],
)
def test_what_only_looks_like_a_function_of_the_owners_is_asked_for(record: Record) -> None:
    codec = AcpCodec(cwd="/w")
    codec.own_server = "optio"
    turns = Turns(TurnState(codec))
    turns.receive(json.dumps(record).encode() + b"\n")
    assert len(turns.turn_state.requests) == 1
    assert codec.take_output() == b""
