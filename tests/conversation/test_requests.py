"""Questions and their answers, and what becomes of them with and without a handler."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from optio_agents.conversation import (
    AgentQuestion,
    Choice,
    ConversationError,
    ConversationState,
    PermissionDecision,
    PermissionRequest,
    QuestionAnswer,
    QuestionRequest,
    ToolRequest,
)
from optio_agents.conversation.requests import NO_HANDLER
from tests.support.simulated_transport import simulated

DB = AgentQuestion("db", "Which?", choices=(Choice("A"), Choice("B", value="b")), free_text=False)


def request(*questions: AgentQuestion) -> QuestionRequest:
    return QuestionRequest("questions", "", questions, {})


def test_the_values_of_answers_are_those_that_the_agent_is_told() -> None:
    note = AgentQuestion("note", "Anything else?", required=False)
    asked = request(DB, note)
    assert asked.values({"db": "B"}) == {"db": "b"}
    assert asked.values({"db": "A", "note": "no"}) == {"db": "A", "note": "no"}


@pytest.mark.parametrize("answers", [{}, {"db": "C"}, {"db": "A", "other": "x"}])
def test_answers_that_are_missing_or_answer_nothing_are_refused(answers: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        request(DB).values(answers)


async def test_a_question_without_a_handler_is_declined_with_a_reason() -> None:
    async with simulated() as (conversation, transport):
        await conversation.ask("question:why?")
    assert {"do": "answer", "key": "p1", "answers": None, "reason": NO_HANDLER} in transport.heard


async def test_the_handler_of_questions_answers_and_is_asked_for_no_permission() -> None:
    async with simulated() as (conversation, transport):
        conversation.on_permission_request(lambda request: PermissionDecision("deny"))
        conversation.on_question(lambda request: QuestionAnswer({"q": "yes"}))
        await conversation.ask("question:why? ask:x")
    assert {"do": "answer", "key": "p1", "answers": {"q": "yes"}, "reason": None} in transport.heard
    assert transport.agent.ran == []


async def test_a_question_that_its_handler_leaves_open_is_answered_later_and_once() -> None:
    async with simulated() as (conversation, transport):
        conversation.on_question(lambda request: None)
        sent = await conversation.send("question:why?")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        (question,) = conversation.questions
        with pytest.raises(ValueError, match="no question 'z'"):
            await conversation.answer(question, QuestionAnswer({"z": "yes"}))
        with pytest.raises(TypeError, match="QuestionAnswer"):
            await conversation.answer(question, {"q": "yes"})  # type: ignore[arg-type]
        assert await conversation.answer(question, QuestionAnswer({"q": "no"}))
        assert not await conversation.answer(question, QuestionAnswer({"q": "yes"}))
        await sent.wait()
    assert [told["answers"] for told in transport.heard if told["do"] == "answer"] == [{"q": "no"}]


@pytest.mark.parametrize("answer", [{"q": "yes"}, QuestionAnswer({"z": "x"}), PermissionDecision("allow")])
async def test_a_handler_whose_answer_is_none_declines(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with simulated() as (conversation, transport):
        conversation.on_question(lambda request: answer)
        with caplog.at_level(logging.CRITICAL):
            await conversation.ask("question:why?")
    (told,) = [told for told in transport.heard if told["do"] == "answer"]
    assert told["answers"] is None
    assert "failed" in told["reason"]


@pytest.mark.parametrize("word", ["ask:x", "question:why?"])
async def test_an_ask_in_a_handler_raises_instead_of_waiting_for_itself(
    word: str, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[ConversationError] = []

    async with simulated() as (conversation, transport):

        async def handler(request: object) -> Any:
            try:
                await conversation.ask("say:what?")
            except ConversationError as error:
                errors.append(error)
                raise

        conversation.on_permission_request(handler)
        conversation.on_question(handler)
        with trio.fail_after(60), caplog.at_level(logging.CRITICAL):
            await conversation.ask(f"{word} say:on")
            assert (await conversation.ask("say:again")).text == "again"
    assert "use send()" in str(errors[0])
    assert transport.agent.ran == []


async def test_a_subagents_request_says_who_asks_and_outlives_the_turn() -> None:
    async with simulated() as (conversation, transport):
        result = await conversation.ask("sub:make say:done")
        assert result.text == "done"
        (request,) = conversation.permission_requests
        assert isinstance(request, ToolRequest)
        assert (request.asker, request.turn, request.scopes) == ("a subagent", 1, ("once", "session"))
        assert (await conversation.ask("say:meanwhile")).text == "meanwhile"
        assert (await conversation.interrupt()).turn is None
        assert conversation.permission_requests == (request,)
        assert await conversation.decide(request, PermissionDecision("allow"))
        await conversation.wait_state(ConversationState.IDLE)
    assert transport.agent.ran == ['{"tool": "make"}']


def test_a_tool_request_is_a_permission_request() -> None:
    assert ToolRequest("Bash", {}, {}, asker="x").tool_name == "Bash"
    assert isinstance(ToolRequest("Bash", {}, {}), PermissionRequest)
