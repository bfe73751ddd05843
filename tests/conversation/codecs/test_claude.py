"""Claude Code's stream, line by line: whose turn it is, what it asks, what of it was lost."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from optio_agents.conversation.attachments import Extras
from optio_agents.conversation.codecs.base import (
    AgentTurnBegan,
    BackgroundChanged,
    Folded,
    PermissionAsked,
    QuestionAsked,
    Refused,
    RequestWithdrawn,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.claude_turns import ANSWERED_BEFORE, MESSAGES_KEPT
from optio_agents.conversation.codecs.json_lines import LINE_LIMIT
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Event, TurnStatus

ORIGIN: dict[str, Any] = {"origin": {"kind": "task-notification"}}
RULE = {"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": "touch *"}], "behavior": "allow"}
MODE = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}


class Peer:
    """The other side: reads what the codec wrote, says what the test wants. The uuids are m1, m2, ..."""

    def __init__(self) -> None:
        names = (f"m{number}" for number in itertools.count(1))
        self.codec = ClaudeCodec(new_id=lambda: next(names))

    def say(self, **record: Any) -> list[Any]:
        return self.codec.receive(json.dumps(record).encode() + b"\n")

    def written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.codec.take_output().splitlines()]

    def lifecycle(self, name: str, state: str) -> list[Any]:
        return self.say(type="command_lifecycle", command_uuid=name, state=state)[1:]

    def init(self, *names: str) -> list[Any]:
        more = {"user_message_uuids": list(names)} if names else {}
        return self.say(type="system", subtype="init", **more)[1:]

    def result(self, *names: str, text: str = "t", **more: Any) -> list[Any]:
        named: dict[str, Any] = {"user_message_uuids": list(names)} if names else {}
        fields = {"subtype": "success", "is_error": False, "terminal_reason": "completed", "result": text}
        return self.say(type="result", **fields, **named, **more)[1:]

    def ask(self, key: str, tool: str, given: dict[str, Any], **more: Any) -> Any:
        request = {"subtype": "can_use_tool", "tool_name": tool, "input": given, **more}
        return self.say(type="control_request", request_id=key, request=request)[-1]

    def answered(self) -> Any:
        (response,) = self.written()
        return response["response"].get("response", response["response"])

    def running(self) -> None:
        """Turn 1 runs, of message m1."""
        assert self.codec.prompt(1, "go") == 1
        self.lifecycle("m1", "queued")
        assert self.lifecycle("m1", "started") == [TurnBegan(1)]
        assert self.init("m1") == []
        self.codec.take_output()


def finished(signals: list[Any]) -> tuple[int, str]:
    (end,) = [each for each in signals if isinstance(each, TurnFinished)]
    return end.turn, end.text


# Turns of its own.


def test_a_turn_of_its_own_begins_with_an_init_and_ends_with_a_result_that_name_no_message() -> None:
    peer = Peer()
    peer.running()
    assert finished(peer.result("m1", text="mine")) == (1, "mine")
    assert peer.lifecycle("m1", "completed") == []
    assert peer.init() == [AgentTurnBegan(2)]
    (event,) = peer.say(type="stream_event", event={"delta": {"text": "own"}})
    assert (event.turn, event.text) == (2, "own")
    assert finished(peer.result(text="own", **ORIGIN)) == (2, "own")
    assert peer.codec.prompt(2, "next") == 3


def test_a_message_that_waits_for_the_end_of_such_a_turn_has_its_own_events_and_result() -> None:
    peer = Peer()
    assert peer.init() == [AgentTurnBegan(1)]
    assert peer.codec.prompt(1, "question") == 2
    assert peer.lifecycle("m1", "queued") == []
    (event,) = peer.say(type="stream_event", event={"delta": {"text": "own"}})
    assert event.turn == 1
    assert finished(peer.result(text="own", **ORIGIN)) == (1, "own")
    (between,) = peer.say(type="system", subtype="status")
    assert between.turn is None
    assert peer.lifecycle("m1", "started") == [TurnBegan(2)]
    peer.init("m1")
    assert finished(peer.result("m1", text="ANSWER")) == (2, "ANSWER")


def test_after_a_resume_the_end_of_what_was_left_open_is_not_our_answer() -> None:
    peer = Peer()
    peer.codec.prompt(1, "one")
    peer.lifecycle("m1", "queued")
    assert peer.init() == [AgentTurnBegan(2)]
    assert finished(peer.result(text="", num_turns=0, **ORIGIN)) == (2, "")
    peer.lifecycle("m1", "started")
    assert finished(peer.result("m1", text="ANSWER")) == (1, "ANSWER")


def test_an_init_that_crosses_our_first_message_is_not_that_of_our_turn() -> None:
    peer = Peer()
    peer.codec.prompt(1, "one")
    assert peer.init() == [TurnBegan(1)]  # until now it could be a version that names no messages
    assert peer.lifecycle("m1", "queued") == [AgentTurnBegan(2)]
    assert finished(peer.result(text="", **ORIGIN)) == (2, "")
    assert peer.lifecycle("m1", "started") == [TurnBegan(1)]


def test_an_init_before_it_takes_prompts_begins_no_turn() -> None:
    peer = Peer()
    peer.codec.start()
    assert not any(isinstance(each, AgentTurnBegan) for each in peer.init())


def test_a_result_of_its_own_whose_beginning_was_not_told_is_a_turn_of_its_own() -> None:
    peer = Peer()
    peer.running()
    assert peer.result(**ORIGIN)[0] == AgentTurnBegan(2)
    assert finished(peer.result("m1", text="ANSWER")) == (1, "ANSWER")
    assert peer.result("m1") == []  # twice


def test_a_message_may_be_taken_into_a_turn_of_its_own() -> None:
    peer = Peer()
    peer.init()
    peer.codec.prompt(7, "also this")
    peer.lifecycle("m1", "queued")
    peer.lifecycle("m1", "started")
    folded, *rest = peer.result("m1", text="both")
    assert folded == Folded(7, 1)
    assert finished(rest) == (1, "both")


def test_a_version_that_names_no_messages_gives_one_result_per_prompt() -> None:
    peer = Peer()
    peer.codec.prompt(1, "go")
    assert peer.init() == [TurnBegan(1)]
    assert finished(peer.result()) == (1, "t")


def test_of_the_messages_the_last_ones_are_remembered() -> None:
    peer = Peer()
    for number in range(1, 3 * MESSAGES_KEPT):
        peer.codec.prompt(number, "go")
        peer.result(f"m{number}")
    assert len(peer.codec._turns_open._messages) <= MESSAGES_KEPT + 1


def test_a_message_has_the_id_that_its_owner_gave_it_unless_the_agent_would_drop_it() -> None:
    peer = Peer()
    for name, turn in (("mine", 1), ("mine", 2), (None, 3)):
        assert peer.codec.prompt(turn, "go", Extras(name=name)) == turn
        (message,) = peer.written()
        assert message["uuid"] == {1: "mine", 2: "m1", 3: "m2"}[turn]
        peer.lifecycle(message["uuid"], "queued")
        peer.lifecycle(message["uuid"], "started")
        assert peer.result(message["uuid"])[-1].turn == turn


def test_a_message_that_the_session_knows_from_an_earlier_process_is_refused() -> None:
    peer = Peer()
    assert peer.codec.prompt(1, "go", Extras(name="of yesterday")) == 1
    assert peer.lifecycle("of yesterday", "completed") == [Refused(1, ANSWERED_BEFORE)]
    # The next one is answered; what came late for the one before says nothing.
    assert peer.codec.prompt(2, "and on") == 2
    assert peer.lifecycle("of yesterday", "completed") == []
    assert peer.lifecycle("m1", "queued") == []
    assert peer.lifecycle("m1", "started") == [TurnBegan(2)]
    assert peer.lifecycle("m1", "completed") == []


def test_what_is_open_in_the_background_is_told_and_names_who_asks() -> None:
    peer = Peer()
    peer.running()
    tasks = [{"task_id": "a1", "task_type": "local_agent", "description": "the helper"}, "odd", {}]
    (changed,) = peer.say(type="system", subtype="background_tasks_changed", tasks=tasks)[1:]
    assert isinstance(changed, BackgroundChanged)
    assert changed.tasks[0] == ("a1", "local_agent", "the helper")
    asked = peer.ask("P1", "Bash", {"command": "make"}, agent_id="a1")
    assert isinstance(asked, PermissionAsked)
    assert asked.asker == "subagent a1: the helper"


# What it asks.


def test_a_request_outlives_the_turn_and_is_answered_once() -> None:
    peer = Peer()
    peer.running()
    peer.ask("P1", "Bash", {"command": "make"})
    peer.result("m1")
    peer.codec.decide("P1", PermissionDecision("allow"))
    peer.codec.decide("P1", PermissionDecision("deny"))
    assert peer.answered() == {"behavior": "allow", "updatedInput": {"command": "make"}}
    peer.ask("P2", "Bash", {})
    assert peer.say(type="control_cancel_request", request_id="P2")[-1] == RequestWithdrawn("P2")
    peer.codec.cancel_request("P2")
    assert peer.written() == []


def test_a_second_request_under_an_open_key_changes_nothing_of_what_the_first_allows() -> None:
    peer = Peer()
    peer.running()
    peer.ask("P1", "Bash", {"command": "ls"})
    peer.ask("P1", "Bash", {"command": "rm -rf ~"})
    peer.codec.decide("P1", PermissionDecision("allow"))
    assert peer.answered()["updatedInput"] == {"command": "ls"}


@pytest.mark.parametrize(
    ("suggestions", "decision", "answer"),
    [
        ([{**RULE, "destination": "localSettings"}], PermissionDecision("allow"), None),
        (
            [{**RULE, "destination": "localSettings"}, MODE],
            PermissionDecision("allow", scope="session"),
            [{**RULE, "destination": "session"}],
        ),
        (
            [{**RULE, "destination": "session"}, MODE],
            PermissionDecision("allow", scope="always"),
            [{**RULE, "destination": "localSettings"}],
        ),
        ([MODE], PermissionDecision("allow", scope="always"), [MODE]),
        ([], PermissionDecision("allow", scope="always"), None),
    ],
    ids=["once", "session", "always", "a mode is for the session only", "nothing was suggested"],
)
def test_a_lasting_permission_is_what_was_suggested_and_no_wider(
    suggestions: list[Any], decision: PermissionDecision, answer: object
) -> None:
    peer = Peer()
    peer.running()
    peer.ask("P1", "Bash", {}, permission_suggestions=suggestions)
    peer.codec.decide("P1", decision)
    assert peer.answered().get("updatedPermissions") == answer


def test_what_a_lasting_permission_covers_is_told() -> None:
    peer = Peer()
    peer.running()
    asked = peer.ask("P1", "Bash", {}, permission_suggestions=[RULE, MODE])
    assert (asked.scopes, asked.covers) == (("once", "session", "always"), ("Bash(touch *)",))
    asked = peer.ask("P2", "Write", {}, permission_suggestions=[MODE])
    assert (asked.scopes, asked.covers) == (("once", "session"), ("setMode acceptEdits",))


def test_a_denial_tells_why_and_may_stop_the_turn() -> None:
    peer = Peer()
    peer.running()
    peer.ask("P1", "Bash", {})
    peer.codec.decide("P1", PermissionDecision("deny", message="not now", interrupt=True))
    assert peer.answered() == {"behavior": "deny", "message": "not now", "interrupt": True}


def test_a_question_is_answered_with_its_input_and_the_answers() -> None:
    peer = Peer()
    peer.running()
    options = [{"label": "A", "description": "a"}, {"label": "B"}]
    given = {"questions": [{"question": "Which?", "header": "H", "multiSelect": True, "options": options}]}
    asked = peer.ask("Q1", "AskUserQuestion", given)
    assert isinstance(asked, QuestionAsked)
    (question,) = asked.request.questions
    assert (question.text, question.header, question.multiple) == ("Which?", "H", True)
    peer.codec.answer("Q1", QuestionAnswer({"Which?": ("A", "B")}))
    assert peer.answered()["updatedInput"] == {**given, "answers": {"Which?": "A, B"}}
    peer.ask("Q2", "AskUserQuestion", given)
    peer.codec.answer("Q2", QuestionAnswer.declined("ask me tomorrow"))
    assert peer.answered() == {"behavior": "deny", "message": "ask me tomorrow"}


def test_the_plan_is_that_of_the_tool_call_before() -> None:
    peer = Peer()
    peer.running()
    block = {"type": "tool_use", "id": "t1", "name": "ExitPlanMode", "input": {"plan": "1. build"}}
    peer.say(type="assistant", message={"content": [block]})
    asked = peer.ask("P1", "ExitPlanMode", {}, tool_use_id="t1")
    assert (asked.request.kind, asked.request.message) == ("plan", "1. build")
    peer.codec.answer("P1", QuestionAnswer({"approve": "yes"}))
    assert peer.answered() == {"behavior": "allow", "updatedInput": {}}
    peer.ask("P2", "ExitPlanMode", {}, tool_use_id="t1")
    peer.codec.answer("P2", QuestionAnswer({"approve": "no"}))
    assert peer.answered()["behavior"] == "deny"


def test_an_elicitation_is_accepted_with_values_of_its_types_or_declined() -> None:
    peer = Peer()
    peer.running()
    schema = {"properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}}, "required": ["n"]}
    request = {"subtype": "elicitation", "mcp_server_name": "el", "message": "m", "requested_schema": schema}
    asked = peer.say(type="control_request", request_id="E1", request=request)[-1]
    assert (asked.request.kind, asked.request.asker) == ("form", "MCP server el")
    peer.codec.answer("E1", QuestionAnswer({"n": "5", "ok": "yes"}))
    assert peer.answered() == {"action": "accept", "content": {"n": 5, "ok": True}}
    peer.say(type="control_request", request_id="E2", request={**request, "url": "http://x"})
    peer.codec.answer("E2", QuestionAnswer({"visit": "no"}))
    assert peer.answered() == {"action": "decline"}
    peer.say(type="control_request", request_id="E3", request=request)
    peer.codec.cancel_request("E3")
    assert peer.answered() == {"action": "cancel"}


# What was lost.


def test_a_request_that_is_longer_than_a_line_may_be_is_answered() -> None:
    peer = Peer()
    peer.running()
    request = {"subtype": "can_use_tool", "tool_name": "Write", "input": {"content": "z" * LINE_LIMIT}}
    (event, *_) = peer.say(type="control_request", request_id="P1", request=request)
    assert (event.raw["type"], event.raw["lost"]) == ("x-optio-unparseable", True)
    assert peer.answered() == {
        "subtype": "error",
        "request_id": "P1",
        "error": "the line was too long to be read",
    }


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_result_that_is_longer_than_a_line_may_be_fails_its_turn(place: str) -> None:
    peer = Peer()
    peer.running()
    long = {"result": "z" * LINE_LIMIT}
    record = {"type": "result", **long} if place == "first" else {**long, "type": "result"}
    (*_, end) = peer.say(**record)
    assert (end.turn, end.status) == (1, TurnStatus.FAILED)


@pytest.mark.parametrize(
    "record",
    [
        {"type": ["result"]},
        {"type": "result", "user_message_uuids": [["m1"], 5]},
        {"type": "result", "user_message_uuids": "m1", "is_error": [], "terminal_reason": {}},
        {"type": "command_lifecycle", "command_uuid": ["m1"]},
        {"type": "assistant", "message": {"content": [["text"], {"type": "text", "text": 5}]}},
        {"type": "assistant", "message": ["x"]},
        {"type": "stream_event", "event": {"delta": {"text": [1]}}},
        {"type": "control_request", "request_id": {"a": 1}, "request": []},
        {"type": "control_request", "request_id": "k", "request": {"subtype": ["x"], "input": 5}},
        {"type": "control_response", "response": {"request_id": [1]}},
        {"type": "control_cancel_request", "request_id": [1]},
        {"type": "system", "subtype": {}, "tasks": 5},
        {"type": "system", "subtype": "background_tasks_changed", "tasks": {"a": 1}},
        {"type": "system", "subtype": "init", "user_message_uuids": [{}], "session_id": 5},
    ],
)
def test_an_odd_record_costs_nothing_but_itself(record: dict[str, Any]) -> None:
    peer = Peer()
    peer.running()
    assert isinstance(peer.say(**record)[0], Event)
    peer.written()
    assert finished(peer.result("m1", text="ANSWER"))[1] == "ANSWER"
