"""What the recordings do not hold: codex's races, answered line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.codecs.base import (
    AgentTurnBegan,
    BackendStartFailed,
    BackgroundChanged,
    Folded,
    InterruptAcknowledged,
    PermissionAsked,
    QuestionAsked,
    Ready,
    Refused,
    RequestWithdrawn,
    Signal,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.codecs.json_lines import LINE_LIMIT
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Event, TurnStatus


class Peer:
    """The other side: reads what the codec wrote, says what the test wants."""

    def __init__(self) -> None:
        self.codec = CodexCodec(cwd="/w")
        self.codec.start()

    def written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.codec.take_output().splitlines()]

    def say(self, *records: dict[str, Any]) -> list[Signal]:
        data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        return [item for item in self.codec.receive(data) if not isinstance(item, Event)]

    def ready(self) -> None:
        (first,) = self.written()
        self.say({"id": first["id"], "result": {}})
        *_, start = self.written()
        assert self.say({"id": start["id"], "result": {"thread": {"id": "T"}}}) == [Ready("T")]

    def prompted(self) -> dict[str, Any]:
        self.codec.prompt(1, "go")
        (request,) = self.written()
        return request


def turn(identity: str, status: str = "inProgress", **more: Any) -> dict[str, Any]:
    return {"turn": {"id": identity, "status": status, **more}}


def completed(identity: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"method": "turn/completed", "params": {"threadId": "T", **turn(identity, status, **more)}}


def started(identity: str) -> dict[str, Any]:
    return {"method": "turn/started", "params": {"threadId": "T", **turn(identity)}}


def test_an_interrupt_before_the_turn_has_started_is_for_saying_again() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.codec.interrupt(1)
    peer.say({"id": request["id"], "result": turn("a")})
    peer.codec.interrupt(1)
    assert peer.written() == []
    assert peer.say(started("a")) == [TurnBegan(1)]
    peer.codec.interrupt(1)
    (interrupt,) = peer.written()
    assert (interrupt["method"], interrupt["params"]["turnId"]) == ("turn/interrupt", "a")
    assert peer.say({"id": interrupt["id"], "result": {}}) == [InterruptAcknowledged(1)]


def test_a_steering_message_waits_for_the_start_and_loses_the_race_when_the_turn_ends_first() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.codec.steer(2, "also")
    peer.say({"id": request["id"], "result": turn("a")})
    assert peer.written() == []
    peer.say(started("a"))
    (steer,) = peer.written()
    assert steer["params"]["expectedTurnId"] == "a"
    peer.say(completed("a"))
    error = {"code": -32600, "message": "no active turn to steer"}
    assert peer.say({"id": steer["id"], "error": error}) == [
        Refused(2, "no active turn to steer", lost_race=True)
    ]


def test_a_steering_message_that_never_left_is_refused_with_the_end_of_its_turn() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.codec.steer(2, "also")
    peer.say({"id": request["id"], "result": turn("a")})
    finished, refused = peer.say(completed("a"))
    assert isinstance(finished, TurnFinished)
    assert refused == Refused(2, "the turn has ended", lost_race=True)


def test_a_turn_that_starts_before_its_response_is_ours() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    assert peer.say(started("a")) == [TurnBegan(1)]
    assert peer.say({"id": request["id"], "result": turn("a")}) == []
    (finished,) = peer.say(completed("a"))
    assert isinstance(finished, TurnFinished)
    assert finished.turn == 1


def test_a_turn_that_starts_and_ends_before_its_response_leaves_the_next_one_alone() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    began, finished = peer.say(started("a"), completed("a"))
    assert (began, isinstance(finished, TurnFinished)) == (TurnBegan(1), True)
    assert peer.codec.prompt(2, "more") == 2
    (second,) = peer.written()
    assert peer.say({"id": request["id"], "result": turn("a")}) == []
    assert peer.say({"id": second["id"], "result": turn("b")}, started("b")) == [TurnBegan(2)]


def test_with_a_goal_open_the_response_tells_whose_turn_has_started() -> None:
    peer = Peer()
    peer.ready()
    goal = {"objective": "all green", "status": "active"}
    peer.say({"method": "thread/goal/updated", "params": {"threadId": "T", "goal": goal}})
    request = peer.prompted()
    assert peer.say(started("a")) == [AgentTurnBegan(2)]
    assert peer.say({"id": request["id"], "result": turn("a")}) == [Folded(1, 2)]


def test_a_folded_message_is_reported_with_the_turn_it_went_into() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.say({"id": request["id"], "result": turn("a")}, started("a"))
    peer.codec.steer(2, "also")
    (steer,) = peer.written()
    assert peer.say({"id": steer["id"], "result": {"turnId": "a"}}) == [Folded(2, 1)]


def test_the_end_of_another_turn_ends_nothing_of_ours() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.say({"id": request["id"], "result": turn("a")})
    assert peer.say(completed("somebody else's")) == []
    (finished,) = peer.say(completed("a", "failed", error={"message": "no luck"}))
    assert isinstance(finished, TurnFinished)
    assert (finished.status, finished.error) == (TurnStatus.FAILED, "no luck")


def test_a_refused_prompt_is_told_apart_from_a_failed_turn() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    assert peer.say({"id": request["id"], "error": {"code": 1, "message": "no"}}) == [Refused(1, "no")]


def test_requests_that_we_do_not_serve_are_answered_so_that_nobody_waits_for_ever() -> None:
    peer = Peer()
    peer.ready()
    peer.say({"id": 7, "method": "currentTime/read", "params": {}})
    (answer,) = peer.written()
    assert (answer["id"], answer["error"]["code"]) == (7, -32601)


def test_an_approval_is_answered_once() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.say({"id": request["id"], "result": turn("a")})
    params = {"threadId": "T", "turnId": "a", "command": "rm x"}
    (asked,) = peer.say({"id": 0, "method": "item/commandExecution/requestApproval", "params": params})
    assert isinstance(asked, PermissionAsked)
    assert (asked.turn, asked.input["command"]) == (1, "rm x")
    peer.codec.decide(0, PermissionDecision("deny"))
    peer.codec.decide(0, PermissionDecision("allow"))
    peer.codec.cancel_request(0)
    assert peer.written() == [{"id": 0, "result": {"decision": "decline"}}]


def test_a_failed_handshake_says_why() -> None:
    peer = Peer()
    (first,) = peer.written()
    assert peer.say({"id": first["id"], "error": {"message": "too old"}}) == [BackendStartFailed("too old")]


def test_a_steer_that_waits_for_a_turn_that_is_refused_is_sent_anew() -> None:
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.codec.steer(2, "and this")
    assert peer.written() == []
    assert peer.say({"id": request["id"], "error": {"code": 1, "message": "no"}}) == [
        Refused(1, "no"),
        Refused(2, "the turn has ended", lost_race=True),
    ]


# Turns that it begins by itself.


def running() -> Peer:
    """Turn 1 runs under the id a."""
    peer = Peer()
    peer.ready()
    request = peer.prompted()
    peer.say({"id": request["id"], "result": turn("a")}, started("a"))
    return peer


def delta(identity: str, text: str, thread: str = "T") -> dict[str, Any]:
    params = {"threadId": thread, "turnId": identity, "itemId": "i", "delta": text}
    return {"method": "item/agentMessage/delta", "params": params}


def test_a_turn_of_an_unknown_id_is_one_of_its_own_and_can_be_stopped() -> None:
    peer = running()
    peer.say(completed("a"))
    assert peer.say(started("goal")) == [AgentTurnBegan(2)]
    peer.say(delta("goal", "own"))
    peer.codec.interrupt(2)
    (interrupt,) = peer.written()
    assert interrupt["params"]["turnId"] == "goal"
    (end,) = peer.say(completed("goal", "interrupted"))
    assert (end.turn, end.status, end.text) == (2, TurnStatus.INTERRUPTED, "own")  # type: ignore[union-attr]


def test_a_prompt_that_comes_in_such_a_turn_is_part_of_it() -> None:
    peer = Peer()
    peer.ready()
    assert peer.say(started("goal")) == [AgentTurnBegan(1)]
    peer.codec.prompt(5, "also")
    (request,) = peer.written()
    assert peer.say({"id": request["id"], "result": turn("goal")}) == [Folded(5, 1)]
    peer.say(started("other"), completed("other"))
    peer.codec.prompt(6, "too late")
    (request,) = peer.written()
    assert peer.say({"id": request["id"], "result": turn("other")}) == [Folded(6, 3)]


def test_a_steering_message_reaches_a_turn_of_its_own() -> None:
    peer = Peer()
    peer.ready()
    peer.say(started("goal"))
    peer.codec.steer(2, "also")
    (steer,) = peer.written()
    assert steer["params"]["expectedTurnId"] == "goal"
    assert peer.say({"id": steer["id"], "result": {}}) == [Folded(2, 1)]


def test_a_goal_is_open_work_until_it_is_reached_or_cleared() -> None:
    peer = running()

    def goal(status: str) -> dict[str, Any]:
        fields = {"threadId": "T", "goal": {"objective": "the end", "status": status}}
        return {"method": "thread/goal/updated", "params": fields}

    (opened,) = peer.say(goal("active"), goal("active"))
    assert isinstance(opened, BackgroundChanged)
    assert [task.description for task in opened.tasks] == ["the end"]
    assert peer.say(goal("complete")) == [BackgroundChanged(())]
    peer.say(goal("active"))
    assert peer.say({"method": "thread/goal/cleared", "params": {"threadId": "T"}}) == [BackgroundChanged(())]


# Subagents.


def test_a_subagents_approval_is_asked_and_nothing_it_says_is_our_answer() -> None:
    peer = running()
    thread = {"id": "C", "agentNickname": "Ada"}
    child = {"threadId": "C", "turn": {"id": "c", "rootTurnId": "a"}}
    signals = peer.say(
        {"method": "thread/started", "params": {"thread": thread}},
        {"method": "turn/started", "params": child},
        delta("c", "sub", "C"),
    )
    (opened,) = signals
    assert isinstance(opened, BackgroundChanged)
    params = {"threadId": "C", "turnId": "c", "command": "make"}
    (asked,) = peer.say({"id": 0, "method": "item/commandExecution/requestApproval", "params": params})
    assert isinstance(asked, PermissionAsked)
    assert (asked.turn, asked.asker) == (1, "subagent Ada")
    (end,) = peer.say(completed("a"))
    assert isinstance(end, TurnFinished)
    assert end.text == ""
    peer.codec.decide(0, PermissionDecision("allow"))
    assert peer.written() == [{"id": 0, "result": {"decision": "accept"}}]
    assert peer.say({"method": "turn/completed", "params": child}) == [BackgroundChanged(())]


def test_a_request_that_it_resolves_by_itself_is_withdrawn() -> None:
    peer = running()
    params = {"threadId": "C", "turnId": "c", "command": "make"}
    peer.say({"id": 0, "method": "item/commandExecution/requestApproval", "params": params})
    resolved = {"method": "serverRequest/resolved", "params": {"threadId": "C", "requestId": 0}}
    assert peer.say(resolved) == [RequestWithdrawn(0)]
    assert peer.say(resolved) == []


# What it asks, and how it is answered.

AMENDMENT = {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["touch"]}}
COMMAND = (
    "item/commandExecution/requestApproval",
    {"command": "touch a", "proposedExecpolicyAmendment": ["touch"]},
)
OFFERED = {"availableDecisions": ["accept", "acceptForSession", AMENDMENT, "cancel"]}
TOOL = {"codex_approval_kind": "mcp_tool_call", "tool_name": "echo", "tool_params": {"q": 1}}
CALL = (
    "mcpServer/elicitation/request",
    {"serverName": "el", "_meta": {**TOOL, "persist": ["session", "always"]}},
)
WIDER = ("item/permissions/requestApproval", {"permissions": {"network": {"enabled": True}}})


@pytest.mark.parametrize(
    ("request_", "decision", "result"),
    [
        (COMMAND, PermissionDecision("allow"), {"decision": "accept"}),
        (COMMAND, PermissionDecision("allow", scope="always"), {"decision": "acceptForSession"}),
        (
            (COMMAND[0], {**COMMAND[1], **OFFERED}),
            PermissionDecision("allow", scope="always"),
            {"decision": AMENDMENT},
        ),
        (COMMAND, PermissionDecision("deny", interrupt=True), {"decision": "cancel"}),
        (CALL, PermissionDecision("allow"), {"action": "accept", "content": {}, "_meta": None}),
        (
            CALL,
            PermissionDecision("allow", scope="always"),
            {"action": "accept", "content": {}, "_meta": {"persist": "always"}},
        ),
        (CALL, PermissionDecision("deny"), {"action": "decline", "content": None, "_meta": None}),
        (
            WIDER,
            PermissionDecision("allow"),
            {"permissions": {"network": {"enabled": True}}, "scope": "turn"},
        ),
        (
            WIDER,
            PermissionDecision("allow", scope="session"),
            {"permissions": {"network": {"enabled": True}}, "scope": "session"},
        ),
        (WIDER, PermissionDecision("deny"), {"permissions": {}, "scope": "turn"}),
    ],
)
def test_each_request_is_answered_in_its_own_words(
    request_: tuple[str, dict[str, Any]], decision: PermissionDecision, result: dict[str, Any]
) -> None:
    peer = running()
    method, params = request_
    (asked,) = peer.say({"id": 0, "method": method, "params": {"threadId": "T", "turnId": "a", **params}})
    assert isinstance(asked, PermissionAsked)
    peer.codec.decide(0, decision)
    assert peer.written() == [{"id": 0, "result": result}]


def test_a_call_of_an_mcp_tool_is_a_request_for_that_tool() -> None:
    peer = running()
    (asked,) = peer.say({"id": 0, "method": CALL[0], "params": {"threadId": "T", "turnId": "a", **CALL[1]}})
    assert isinstance(asked, PermissionAsked)
    assert (asked.tool_name, asked.input) == ("mcp__el__echo", {"q": 1})
    assert asked.scopes == ("once", "session", "always")


def test_its_questions_are_answered_by_their_ids_and_declined_with_the_reason() -> None:
    peer = running()
    options = [{"label": "A", "description": "a"}]
    question = {"id": "q1", "header": "H", "question": "Which?", "isOther": False, "options": options}
    params = {"threadId": "T", "turnId": "a", "questions": [question]}
    (asked,) = peer.say({"id": 0, "method": "item/tool/requestUserInput", "params": params})
    assert isinstance(asked, QuestionAsked)
    assert (asked.request.questions[0].key, asked.request.questions[0].free_text) == ("q1", False)
    peer.codec.answer(0, QuestionAnswer({"q1": "A"}))
    assert peer.written() == [{"id": 0, "result": {"answers": {"q1": {"answers": ["A"]}}}}]
    peer.say({"id": 1, "method": "item/tool/requestUserInput", "params": params})
    peer.codec.answer(1, QuestionAnswer.declined("later"))
    assert peer.written() == [{"id": 1, "result": {"answers": {"q1": {"answers": ["later"]}}}}]


def test_a_form_of_an_mcp_server_is_a_question() -> None:
    peer = running()
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    params = {"threadId": "T", "turnId": None, "serverName": "el", "message": "m", "requestedSchema": schema}
    (asked,) = peer.say({"id": 0, "method": "mcpServer/elicitation/request", "params": params})
    assert isinstance(asked, QuestionAsked)
    assert asked.request.asker == "MCP server el"
    peer.codec.answer(0, QuestionAnswer({"n": "1.5"}))
    assert peer.written()[0]["result"] == {"action": "accept", "content": {"n": 1.5}, "_meta": None}
    peer.say({"id": 1, "method": "mcpServer/elicitation/request", "params": params})
    peer.codec.cancel_request(1)
    assert peer.written()[0]["result"]["action"] == "cancel"


# What was lost, and what is odd.


def test_a_request_that_is_longer_than_a_line_may_be_is_answered_with_an_error() -> None:
    peer = running()
    params = {"threadId": "T", "turnId": "a", "command": "z" * LINE_LIMIT}
    peer.say({"method": "item/commandExecution/requestApproval", "id": 7, "params": params})
    (answer,) = peer.written()
    assert (answer["id"], answer["error"]["code"]) == (7, -32700)


@pytest.mark.parametrize(
    "record",
    [
        {"id": [1], "result": {}},
        {"id": True, "method": "item/commandExecution/requestApproval", "params": {}},
        {"method": ["turn/started"], "params": {}},
        {"method": "turn/started", "params": {"threadId": ["T"], "turn": {"id": ["x"]}}},
        {"method": "turn/completed", "params": {"threadId": "T", "turn": ["a"]}},
        {"method": "turn/completed", "params": {"threadId": "T", "turnId": {"a": 1}}},
        {"method": "item/completed", "params": {"threadId": "T", "item": ["x"]}},
        {
            "method": "item/agentMessage/delta",
            "params": {"threadId": "T", "turnId": "a", "delta": ["x"], "itemId": []},
        },
        {"method": "serverRequest/resolved", "params": {"requestId": [0]}},
        {"method": "thread/goal/updated", "params": {"goal": "x"}},
        {"method": "thread/started", "params": {"thread": "x"}},
        {"id": 3, "method": "item/tool/requestUserInput", "params": {"questions": {"a": 1}}},
        {"id": 4, "method": "mcpServer/elicitation/request", "params": {"_meta": 5, "requestedSchema": []}},
        {"id": 5, "method": "item/commandExecution/requestApproval", "params": {"availableDecisions": "x"}},
    ],
)
def test_an_odd_record_costs_nothing_but_itself(record: dict[str, Any]) -> None:
    peer = running()
    peer.say(record)
    peer.say(delta("a", "ANSWER"))
    (*_, end) = peer.say(completed("a"))
    assert isinstance(end, TurnFinished)
    assert (end.turn, end.text) == (1, "ANSWER")
