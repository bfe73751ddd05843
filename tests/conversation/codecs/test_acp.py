"""What the recordings do not hold: a session that is taken up again, and how its messages are replayed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.acp_requests import CALLS_KEPT
from optio_agents.conversation.codecs.base import (
    BackendStartFailed,
    Codec,
    PermissionAsked,
    Ready,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.values import Event, TurnStatus

COMMANDS = {"sessionUpdate": "available_commands_update", "availableCommands": []}


def written(codec: Codec) -> list[dict[str, Any]]:
    return [json.loads(line) for line in codec.take_output().splitlines()]


def say(codec: Codec, *records: dict[str, Any]) -> list[Any]:
    """What the codec makes of these words of the agent."""
    return codec.receive(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def update(fields: dict[str, Any]) -> dict[str, Any]:
    return {"method": "session/update", "params": {"sessionId": "S", "update": fields}}


def spoken(who: str, text: str) -> dict[str, Any]:
    return update({"sessionUpdate": f"{who}_message_chunk", "content": {"type": "text", "text": text}})


def loading(*, replays_late: bool) -> tuple[AcpCodec, dict[str, Any]]:
    """A codec that has asked for session S, and the response to that."""
    codec = AcpCodec(cwd="/w", session="S", replays_late=replays_late)
    codec.start()
    (first,) = written(codec)
    say(codec, {"id": first["id"], "result": {"protocolVersion": 1}})
    (load,) = written(codec)
    assert (load["method"], load["params"]["sessionId"]) == ("session/load", "S")
    return codec, {"id": load["id"], "result": {}}


def test_an_agent_that_replays_before_it_answers_is_ready_with_its_answer() -> None:
    codec, loaded = loading(replays_late=False)
    *replayed, _, ready = say(codec, spoken("user", "go"), spoken("agent", "old"), loaded)
    assert [event.turn for event in replayed] == [None, None]
    assert ready == Ready("S")


@pytest.mark.parametrize("commands_first", [False, True])
def test_an_agent_that_replays_late_is_ready_once_it_has_listed_its_commands(commands_first: bool) -> None:
    codec, loaded = loading(replays_late=True)
    news = [spoken("user", "go"), loaded, spoken("agent", "old"), update(COMMANDS)]
    if commands_first:
        news = [spoken("user", "go"), spoken("agent", "old"), update(COMMANDS), loaded]
    *replayed, ready = say(codec, *news)
    assert [(event.turn, event.text) for event in replayed] == [(None, "")] * 4
    assert ready == Ready("S")
    # What it replayed is no part of the first answer, and a later list of commands says nothing.
    turn = codec.prompt(1, "and on")
    (prompt,) = written(codec)
    ended = {"id": prompt["id"], "result": {"stopReason": "end_turn"}}
    said = say(codec, update(COMMANDS), spoken("agent", "new"), ended)
    assert [item for item in said if not isinstance(item, Event)] == [
        TurnBegan(turn),
        TurnFinished(turn, TurnStatus.COMPLETED, "new", None, ended),
    ]


def test_a_session_that_cannot_be_loaded_is_a_failed_start() -> None:
    codec, loaded = loading(replays_late=True)
    error = {"code": -32603, "message": "Internal error", "data": {"details": "no such session"}}
    _, failed = say(codec, {"id": loaded["id"], "error": error})
    assert failed == BackendStartFailed("Internal error (no such session)")


def test_of_the_tool_calls_of_a_turn_the_last_ones_are_remembered() -> None:
    codec, loaded = loading(replays_late=False)
    say(codec, loaded)
    codec.prompt(1, "go")
    for number in range(10 * CALLS_KEPT):
        call = {"sessionUpdate": "tool_call", "toolCallId": str(number), "rawInput": {"n": number}}
        say(codec, update(call))
    assert len(codec._requests._calls) == CALLS_KEPT
    params = {"toolCall": {"toolCallId": str(number)}, "options": []}
    *_, asked = say(codec, {"id": 0, "method": "session/request_permission", "params": params})
    assert isinstance(asked, PermissionAsked)
    assert asked.input == {"n": number}
