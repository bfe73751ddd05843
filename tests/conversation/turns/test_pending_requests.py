"""The pending of permission requests: how many are open, under whose names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.codecs.base import PermissionAsked
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.turns import pending_requests
from optio_agents.conversation.turns.effects import Effect, Offered, Settled
from optio_agents.conversation.turns.pending_requests import OPEN_LIMIT, PendingRequests
from tests.support.simulated_agent import SimulatedCodec

DENIED = PermissionDecision("deny")


def asked(key: str | int) -> PermissionAsked:
    return PermissionAsked(key, 1, "tool", {}, {})


def told(codec: SimulatedCodec) -> list[dict[str, Any]]:
    """What the agent was told since the last call."""
    return [json.loads(line) for line in codec.take_output().splitlines()]


def offered(effects: list[Effect]) -> int:
    """The number under which a request was offered."""
    (effect,) = effects
    assert isinstance(effect, Offered)
    return effect.number


def test_more_requests_than_the_limit_are_denied_unseen_until_one_is_settled() -> None:
    codec = SimulatedCodec()
    pending = PendingRequests(codec)
    numbers = [offered(pending.open(asked(key))) for key in range(OPEN_LIMIT)]
    assert told(codec) == []
    assert pending.open(asked("one more")) == []
    assert told(codec) == [{"do": "cancel", "key": "one more"}]
    assert len(pending) == OPEN_LIMIT
    assert pending.decide(numbers[0], DENIED) == [Settled(numbers[0], "answered")]
    assert offered(pending.open(asked("another"))) not in numbers


def test_a_key_that_is_used_again_names_another_request() -> None:
    codec = SimulatedCodec()
    pending = PendingRequests(codec)
    first = offered(pending.open(asked("key")))
    assert pending.withdraw("key") == [Settled(first, "withdrawn")]
    second = offered(pending.open(asked("key")))
    # A late decision of the first one does not reach the second one.
    assert pending.decide(first, DENIED) == []
    assert told(codec) == []
    assert pending.cancel("closed") == [Settled(second, "closed")]
    assert told(codec) == [{"do": "cancel", "key": "key"}]
    assert len(pending) == 0


def test_the_open_requests_are_bounded_together_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_requests, "WEIGHT_LIMIT", 10_000)
    codec = SimulatedCodec()
    pending = PendingRequests(codec)

    def large(key: str, size: int) -> PermissionAsked:
        return PermissionAsked(key, 1, "tool", {}, {"content": "z" * size})

    number = offered(pending.open(large("one", 6_000)))
    assert pending.open(large("two", 6_000)) == []
    assert told(codec) == [{"do": "cancel", "key": "two"}]
    pending.decide(number, DENIED)
    # One alone is never too large: there is a limit for a line.
    assert offered(pending.open(large("three", 20_000)))


def test_of_two_requests_under_one_key_none_is_allowed_where_the_backend_would_not_say_which() -> None:
    class Fixed(SimulatedCodec):
        capabilities = SimulatedCodec.capabilities.__class__(change_input=False)

    codec = Fixed()
    pending = PendingRequests(codec)
    number = offered(pending.open(asked("key")))
    assert pending.open(asked("key")) == []  # the same once more
    assert pending.open(PermissionAsked("key", 1, "tool", {"command": "rm"}, {"another": 1})) == []
    pending.decide(number, PermissionDecision("allow"))
    assert [each["behavior"] for each in told(codec)] == ["deny"]
