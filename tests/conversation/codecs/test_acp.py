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
    QuestionAsked,
    Ready,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
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


# One turn after another.

OPTIONS = [
    {"optionId": "once", "kind": "allow_once", "name": "Allow once"},
    {"optionId": "always", "kind": "allow_always", "name": "Always allow"},
    {"optionId": "reject", "kind": "reject_once", "name": "Reject"},
]


def chunk(text: str, message: str | None = None) -> dict[str, Any]:
    named = {} if message is None else {"messageId": message}
    content = {"type": "text", "text": text}
    return update({"sessionUpdate": "agent_message_chunk", "content": content, **named})


class Session:
    """A codec with an open session."""

    def __init__(self) -> None:
        self.codec, loaded = loading(replays_late=False)
        say(self.codec, loaded)

    def prompt(self) -> dict[str, Any]:
        """Prompt it; the response that ends the turn."""
        self.codec.prompt(1, "go")
        (prompt,) = written(self.codec)
        return {"id": prompt["id"], "result": {"stopReason": "end_turn"}}

    def end(self, response: dict[str, Any]) -> TurnFinished:
        (*_, end) = say(self.codec, response)
        assert isinstance(end, TurnFinished)
        return end

    def ask(self, key: int) -> Any:
        call = {"toolCallId": "c", "title": "touch a", "kind": "execute", "rawInput": {"command": "touch a"}}
        params = {"toolCall": call, "options": OPTIONS}
        return say(self.codec, {"id": key, "method": "session/request_permission", "params": params})[-1]


def test_late_words_belong_to_the_turn_in_which_their_message_began() -> None:
    session = Session()
    first = session.prompt()
    say(session.codec, chunk("The answer is forty", "m1"))
    assert session.end(first).text == "The answer is forty"
    (late,) = say(session.codec, chunk("-two", "m1"))
    assert (late.turn, late.text) == (1, "-two")
    second = session.prompt()
    (later, *_) = say(session.codec, chunk(".", "m1"), chunk("PLAIN", "m2"))
    assert later.turn == 1
    assert session.end(second).text == "PLAIN"


def test_words_that_name_no_message_are_shown_also_after_the_response() -> None:
    session = Session()
    session.end(session.prompt())
    (late,) = say(session.codec, chunk("by the way"))
    assert (late.turn, late.text) == (None, "by the way")


def test_a_question_or_a_tool_after_the_last_words_does_not_empty_the_answer() -> None:
    session = Session()
    response = session.prompt()
    say(session.codec, chunk("I have begun."))
    session.ask(7)
    assert session.end(response).text == "I have begun."
    response = session.prompt()
    say(
        session.codec,
        chunk("Calling it."),
        update({"sessionUpdate": "tool_call", "toolCallId": "c"}),
        chunk("Done."),
    )
    assert session.end(response).text == "Done."


def test_a_request_outlives_the_response_of_its_prompt() -> None:
    session = Session()
    response = session.prompt()
    session.ask(7)
    session.end(response)
    session.codec.decide(7, PermissionDecision("allow"))
    assert written(session.codec)[0]["result"] == {"outcome": {"outcome": "selected", "optionId": "once"}}


@pytest.mark.parametrize(
    ("decision", "chosen"),
    [
        (PermissionDecision("allow"), "once"),
        (PermissionDecision("allow", scope="session"), "once"),
        (PermissionDecision("allow", scope="always"), "always"),
        (PermissionDecision("deny"), "reject"),
    ],
)
def test_the_option_that_says_what_was_decided_is_chosen(decision: PermissionDecision, chosen: str) -> None:
    session = Session()
    session.prompt()
    asked = session.ask(7)
    assert (asked.scopes, asked.covers) == (("once", "always"), ("Always allow",))
    session.codec.decide(7, decision)
    assert written(session.codec)[0]["result"]["outcome"]["optionId"] == chosen


def test_a_denial_that_stops_the_turn_is_a_rejection_and_a_cancel() -> None:
    session = Session()
    session.prompt()
    session.ask(7)
    session.codec.decide(7, PermissionDecision("deny", interrupt=True))
    rejection, cancel = written(session.codec)
    assert rejection["result"]["outcome"]["optionId"] == "reject"
    assert cancel["method"] == "session/cancel"


def test_an_elicitation_is_a_question() -> None:
    session = Session()
    session.prompt()
    schema = {"properties": {"who": {"type": "string", "title": "Who"}}, "required": ["who"]}
    params = {"sessionId": "S", "mode": "form", "message": "m", "requestedSchema": schema}
    (*_, asked) = say(session.codec, {"id": 7, "method": "elicitation/create", "params": params})
    assert isinstance(asked, QuestionAsked)
    session.codec.answer(7, QuestionAnswer({"who": "me"}))
    assert written(session.codec)[0]["result"] == {"action": "accept", "content": {"who": "me"}}
    say(session.codec, {"id": 8, "method": "elicitation/create", "params": {**params, "url": "http://x"}})
    session.codec.answer(8, QuestionAnswer.declined())
    assert written(session.codec)[0]["result"] == {"action": "decline"}
    say(session.codec, {"id": 9, "method": "elicitation/create", "params": params})
    session.codec.cancel_request(9)
    assert written(session.codec)[0]["result"] == {"action": "cancel"}


def test_text_without_a_line_end_before_a_record_does_not_lose_the_record() -> None:
    session = Session()
    response = session.prompt()
    line = b"Loaded cached credentials." + json.dumps(response).encode() + b"\n"
    event, _, end = session.codec.receive(line)
    assert isinstance(event, Event)
    assert event.raw["line"] == "Loaded cached credentials."
    assert isinstance(end, TurnFinished)


def test_a_response_that_is_no_json_fails_its_turn() -> None:
    session = Session()
    response = session.prompt()
    (*_, end) = session.codec.receive(json.dumps(response).encode()[:-2] + b"\n")
    assert isinstance(end, TurnFinished)
    assert end.status is TurnStatus.FAILED
    assert "could not be read" in (end.error or "")


@pytest.mark.parametrize(
    "record",
    [
        update({"sessionUpdate": [1]}),
        update({"sessionUpdate": "agent_message_chunk", "messageId": [1], "content": "x"}),
        update({"sessionUpdate": "agent_message_chunk", "content": {"text": 5}}),
        update({"sessionUpdate": "tool_call", "toolCallId": {}}),
        {"method": "session/update", "params": [1]},
        {"id": 3, "method": "session/request_permission", "params": {"options": {}, "toolCall": "x"}},
        {"id": 4, "method": "elicitation/create", "params": {"requestedSchema": {"properties": [1]}}},
        {"id": {}, "method": "session/request_permission", "params": {}},
        {"id": 10**6, "result": "nobody asked"},
    ],
)
def test_an_odd_record_costs_nothing_but_itself(record: dict[str, Any]) -> None:
    session = Session()
    response = session.prompt()
    say(session.codec, record, chunk("ANSWER"))
    assert session.end(response).text == "ANSWER"
