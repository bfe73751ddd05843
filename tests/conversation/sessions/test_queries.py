"""Questions to an agent about its sessions: what is asked, and what is made of odd answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation import Text, ToolResult
from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import BackendStartFailed, Codec, Ready
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.sessions.queries import AcpHistory, AcpSessions, CodexHistory, CodexSessions
from optio_agents.conversation.sessions.values import KeptSession

Record = dict[str, Any]


def written(codec: Codec) -> list[Record]:
    return [json.loads(line) for line in codec.take_output().splitlines()]


def say(codec: Codec, *records: Record) -> list[Any]:
    return codec.receive(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def asked(codec: Codec, told: Record) -> tuple[Record, list[Any]]:
    """What is asked after an answer to `initialize`, and the signals of that answer."""
    codec.start()
    (initialize,) = written(codec)
    items = say(codec, {"id": initialize["id"], "result": told})
    lines = written(codec)
    return (lines[-1] if lines else {}), items


def acp(**session: Any) -> Record:
    return {"protocolVersion": 1, "agentCapabilities": {"sessionCapabilities": session}}


def test_codex_lists_the_threads_of_the_workdir() -> None:
    codec = CodexSessions(cwd="/w", limit=5)
    request, _ = asked(codec, {})
    assert (request["method"], request["params"]["cwd"], request["params"]["limit"]) == (
        "thread/list",
        "/w",
        5,
    )
    data = [
        {"id": "t1", "name": None, "preview": "p" * 900, "updatedAt": 7},
        {"id": "t2", "name": "named", "preview": "p", "updatedAt": "odd"},
        {"id": 3},
        "odd",
    ]
    items = say(codec, {"id": request["id"], "result": {"data": data}})
    assert any(isinstance(each, Ready) for each in items)
    assert codec.sessions == [KeptSession("t1", "p" * 200, 7.0), KeptSession("t2", "named", None)]


def test_codex_reads_the_turns_of_a_thread() -> None:
    codec = CodexHistory(cwd="/w", session="t1")
    request, _ = asked(codec, {})
    assert request["params"] == {"threadId": "t1", "includeTurns": True}
    call = {"type": "commandExecution", "id": "c", "command": "ls", "aggregatedOutput": "a", "exitCode": 0}
    items = [
        {"type": "userMessage", "content": [{"type": "text", "text": "one"}, {"type": "image"}]},
        {**call, "status": "completed"},
        {"type": "agentMessage", "id": "m", "text": "done"},
        7,
    ]
    say(codec, {"id": request["id"], "result": {"thread": {"turns": [{"items": items}, {"items": 7}, 7]}}})
    first, second = codec.turns
    assert (first.prompt, first.text) == ("one", "done")
    assert any(isinstance(view, ToolResult) for view in first.views)
    assert (second.prompt, second.views) == ("", ())


def test_an_acp_agent_lists_its_sessions_if_it_can() -> None:
    codec = AcpSessions(cwd="/w")
    request, _ = asked(codec, acp(list={}))
    assert (request["method"], request["params"]) == ("session/list", {"cwd": "/w"})
    sessions = [
        {"sessionId": "s1", "title": "one", "updatedAt": "2026-11-30T18:55:35.992Z"},
        {"sessionId": "s2", "updatedAt": "yesterday"},
        {"title": "none"},
    ]
    say(codec, {"id": request["id"], "result": {"sessions": sessions}})
    assert [each.session for each in codec.sessions] == ["s1", "s2"]
    assert codec.sessions[0].updated == pytest.approx(1796064935.992)
    assert codec.sessions[1].updated is None


@pytest.mark.parametrize("codec", [AcpSessions(cwd="/w"), AcpCodec(cwd="/w", session="s", fork=True)])
@pytest.mark.parametrize("told", [acp(), {"protocolVersion": 1}])
def test_an_acp_agent_that_cannot_says_so(codec: Codec, told: Record) -> None:
    request, items = asked(codec, told)
    assert request == {}
    (failed,) = (each for each in items if isinstance(each, BackendStartFailed))
    assert failed.reason in ("it cannot list its sessions", "it cannot fork sessions")


def chunk(kind: str, text: str) -> Record:
    update = {"sessionUpdate": f"{kind}_message_chunk", "content": {"type": "text", "text": text}}
    return {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": update}}


def test_what_an_acp_agent_replays_is_its_history() -> None:
    codec = AcpHistory(cwd="/w", session="s", replays_late=False)
    request, _ = asked(codec, acp())
    assert request["method"] == "session/load"
    say(
        codec,
        chunk("user", "<session_context>\nabout the machine\n</session_context>"),
        chunk("user", "one "),
        chunk("user", "more"),
        chunk("agent", "first"),
        chunk("user", "[Function Response: search]"),
        chunk("agent", " answer"),
        chunk("user", "two"),
        {"jsonrpc": "2.0", "method": "session/update", "params": 7},
    )
    items = say(codec, {"id": request["id"], "result": {}})
    assert any(isinstance(each, Ready) for each in items)
    assert [(turn.prompt, turn.text) for turn in codec.turns] == [("one more", "first answer"), ("two", "")]
    assert codec.turns[0].views == (Text("first", True), Text(" answer", True))


def test_codex_and_acp_agents_fork() -> None:
    codex = CodexCodec(cwd="/w", thread="t1", fork=True)
    request, _ = asked(codex, {})
    assert (request["method"], request["params"]["threadId"]) == ("thread/fork", "t1")
    assert Ready("t2") in say(codex, {"id": request["id"], "result": {"thread": {"id": "t2"}}})
    agent = AcpCodec(cwd="/w", session="s1", fork=True, replays_late=True)
    request, _ = asked(agent, acp(fork={}))
    assert (request["method"], request["params"]["sessionId"]) == ("session/fork", "s1")
    assert Ready("s2") in say(agent, {"id": request["id"], "result": {"sessionId": "s2"}})
