"""What is no text that an agent can read is refused where it is said."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest

from optio_agents.conversation import PermissionDecision, QuestionAnswer
from optio_agents.conversation.sendable import check_json, check_text
from tests.support.simulated_transport import simulated

SURROGATE = os.fsdecode(b"caf\xe9.txt")


def test_a_text_is_returned_as_it_is() -> None:
    assert check_text("it", "héllo 👋") == "héllo 👋"


@pytest.mark.parametrize(
    ("text", "error"), [(None, TypeError), ([{"type": "text"}], TypeError), (SURROGATE, ValueError)]
)
def test_what_is_none_is_refused_with_what_to_do(text: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="it "):
        check_text("it", text)


@pytest.mark.parametrize("value", [{"a": SURROGATE}, {SURROGATE: 1}, {"a": math.nan}])
def test_json_that_no_agent_reads_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        check_json("it", value)


@pytest.mark.parametrize("verb", ["send", "ask", "steer", "stop_and_send"])
@pytest.mark.parametrize(
    ("text", "error"), [(["block"], TypeError), (None, TypeError), (SURROGATE, ValueError)]
)
async def test_every_verb_that_sends_refuses_it_at_once_and_the_conversation_goes_on(
    verb: str, text: Any, error: type[Exception]
) -> None:
    async with simulated() as (conversation, _):
        with pytest.raises(error):
            await getattr(conversation, verb)(text)
        assert not conversation.is_pending()
        assert (await conversation.ask("say:on")).text == "on"


@pytest.mark.parametrize("seconds", [-1, math.nan, "5"])
async def test_an_interrupt_takes_seconds(seconds: Any) -> None:
    async with simulated() as (conversation, _):
        with pytest.raises((TypeError, ValueError)):
            await conversation.interrupt(seconds)


@pytest.mark.parametrize("verb", ["on_event", "on_message", "on_permission_request", "on_question"])
async def test_a_handler_that_cannot_be_called_is_refused(verb: str) -> None:
    async with simulated() as (conversation, _):
        with pytest.raises(TypeError, match="a handler is a function"):
            getattr(conversation, verb)("no handler")


async def test_what_is_no_decision_and_no_answer_is_refused() -> None:
    async with simulated() as (conversation, _):
        conversation.on_question(lambda request: None)
        await conversation.send("ask:x")
        await conversation.settled()
        while not conversation.permission_requests:
            await conversation.wait_state(*type(conversation.state))
            await conversation.settled()
        with pytest.raises(TypeError, match="PermissionDecision"):
            await conversation.decide(conversation.permission_requests[0], "allow")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"behavior": "allow", "scope": "forever"},
        {"behavior": "deny", "scope": "session"},
        {"behavior": "allow", "interrupt": True},
        {"behavior": "allow", "updated_input": [1]},
        {"behavior": "allow", "updated_input": {"a": SURROGATE}},
        {"behavior": "deny", "message": 5},
        {"behavior": "deny", "message": SURROGATE},
    ],
)
def test_a_decision_that_means_nothing_is_refused_where_it_is_made(fields: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        PermissionDecision(**fields)


@pytest.mark.parametrize("answers", ["yes", {"q": 5}, {"q": [5]}, {"q": SURROGATE}])
def test_an_answer_that_means_nothing_is_refused_where_it_is_made(answers: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        QuestionAnswer(answers)
