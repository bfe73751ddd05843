"""What the recordings do not hold: codex's races, answered line by line."""

from __future__ import annotations

import json
from typing import Any

from optio_agents.conversation.codecs.base import (
    BackendStartFailed,
    Folded,
    InterruptAcknowledged,
    PermissionAsked,
    Ready,
    Refused,
    Signal,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.codex import CodexCodec
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
