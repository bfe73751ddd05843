"""What real agents ask: permissions of subagents and of MCP tools, lasting permissions, questions, plans, forms."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import trio

from optio_agents.conversation import (
    ConversationState,
    PermissionDecision,
    QuestionAnswer,
    QuestionRequest,
    Scope,
    ToolRequest,
    TurnStatus,
)
from tests.agents.test_dialogue import asked, shell
from tests.support.agent_lab import HANG_GUARD, Lab

pytestmark = pytest.mark.agents

MCP_SERVER = str(Path(__file__).parents[1] / "support" / "mcp_server.py")
DB = {
    "question": "Which db?",
    "header": "DB",
    "options": [{"label": "A", "description": "a"}, {"label": "B", "description": "b"}],
}


def with_mcp(lab: Lab) -> list[str]:
    """The arguments with which claude has the MCP server."""
    settings = lab.base / "mcp.json"
    settings.write_text(json.dumps({"mcpServers": {"el": {"command": sys.executable, "args": [MCP_SERVER]}}}))
    return ["--mcp-config", str(settings)]


def codex_with_mcp(lab: Lab) -> None:
    lab.configure_codex(f'[mcp_servers.el]\ncommand = "{sys.executable}"\nargs = ["{MCP_SERVER}"]\n')


SUBAGENTS = {
    "claude": "[[tool Task "
    + json.dumps(
        {
            "description": "the helper",
            "subagent_type": "general-purpose",
            "run_in_background": True,
            "prompt": '((tool Bash {"command": "touch from_subagent", "description": "d"}))((say sub done))',
        }
    )
    + "]][[say main]]",
    "codex": "[[tool multi_agent_v1.spawn_agent "
    + json.dumps({"message": '((tool exec_command {"cmd": "touch from_subagent"}))((say sub done))'})
    + "]][[say main]]",
}


@pytest.mark.parametrize("name", SUBAGENTS)
async def test_a_subagents_request_outlives_the_turn_that_started_it_and_says_who_asks(
    lab: Lab, name: str
) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            result = await conversation.ask(SUBAGENTS[name])
            assert result.text.strip() == "main"
            request = await asked(conversation)
            assert isinstance(request, ToolRequest)
            assert request.asker is not None
            assert request.asker.startswith("subagent ")
            assert "from_subagent" in json.dumps(request.input)
            with conversation.events() as events:
                assert await conversation.decide(request, PermissionDecision("allow"))
                async for event in events:
                    if (lab.workdir / "from_subagent").exists():
                        break
                    assert event


async def test_codex_asks_for_a_tool_of_an_mcp_server_like_for_any_other(lab: Lab) -> None:
    codex_with_mcp(lab)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("codex") as conversation:
            sent = await conversation.send('[[tool mcp__el.echo {"text": "hello"}]]')
            request = await asked(conversation)
            assert (request.tool_name, request.input) == ("mcp__el__echo", {"text": "hello"})
            await conversation.decide(request, PermissionDecision("allow", scope="session"))
            end = await sent.wait()
            assert end.turn is not None
            assert "echo hello" in end.turn.text
            # Allowed for the session: it is not asked again.
            again = await conversation.ask('[[tool mcp__el.echo {"text": "again"}]]')
            assert "echo again" in again.text


@pytest.mark.parametrize(("scope", "asked_again"), [("once", True), ("session", False), ("always", False)])
async def test_claude_asks_again_unless_it_was_allowed_for_longer(
    lab: Lab, scope: Scope, asked_again: bool
) -> None:
    requests = []

    def decide(request: ToolRequest) -> PermissionDecision:
        requests.append(request)
        return PermissionDecision("allow", scope=scope)

    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            conversation.on_permission_request(decide)  # type: ignore[arg-type]  # it is asked with a ToolRequest
            for _ in range(2):
                await conversation.ask(shell("claude", "touch a"))
            assert len(requests) == (2 if asked_again else 1)
            assert requests[0].covers[0].startswith("Bash(touch a")
            settings = lab.workdir / ".claude" / "settings.local.json"
            assert settings.exists() == (scope == "always")


@pytest.mark.parametrize("name", ["claude", "codex", "gemini"])
async def test_a_denial_can_stop_the_turn(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            sent = await conversation.send(shell(name, "touch never"))
            await conversation.decide(await asked(conversation), PermissionDecision("deny", interrupt=True))
            end = await sent.wait()
            assert end.turn is not None
            assert end.turn.status is TurnStatus.INTERRUPTED
            assert not (lab.workdir / "never").exists()
            assert (await conversation.ask("[[say next]]")).text.strip() == "next"


QUESTIONS = {
    "claude": f"[[tool AskUserQuestion {json.dumps({'questions': [{**DB, 'multiSelect': False}]})}]]",
    "codex": f"[[tool request_user_input {json.dumps({'questions': [{**DB, 'id': 'db'}]})}]]",
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_question_is_answered_and_without_a_handler_declined_with_a_reason(
    lab: Lab, name: str
) -> None:
    lab.configure_codex("default_mode_request_user_input = true\n")
    questions: list[QuestionRequest] = []

    def answer(request: QuestionRequest) -> QuestionAnswer:
        questions.append(request)
        return QuestionAnswer({request.questions[0].key: "B"})

    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            declined = await conversation.ask(QUESTIONS[name])
            assert "No one is available to answer questions" in declined.text
            conversation.on_question(answer)
            result = await conversation.ask(QUESTIONS[name])
            assert "B" in result.text.removeprefix("done:")
            (question,) = questions[0].questions
            assert (question.text, [choice.label for choice in question.choices]) == ("Which db?", ["A", "B"])


async def test_claude_shows_its_plan_and_waits_for_the_approval(lab: Lab) -> None:
    plan = '[[tool ExitPlanMode {"plan": "1. build the house"}]]'
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude", arguments=["--permission-mode", "plan"]) as conversation:
            conversation.on_question(lambda request: None)
            sent = await conversation.send(plan)
            await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
            (request,) = conversation.questions
            assert (request.kind, request.message) == ("plan", "1. build the house")
            await conversation.answer(request, QuestionAnswer({"approve": "no"}, None))
            end = await sent.wait()
            assert end.turn is not None
            assert "does not approve the plan" in end.turn.text
            conversation.on_question(lambda request: QuestionAnswer({"approve": "yes"}))
            assert "approved" in (await conversation.ask(plan)).text


async def test_the_form_of_an_mcp_server_is_filled_in(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude", arguments=with_mcp(lab)) as conversation:
            conversation.on_permission_request(lambda request: PermissionDecision("allow"))
            conversation.on_question(lambda request: QuestionAnswer({"colour": "green"}))
            result = await conversation.ask('[[tool mcp__el__ask {"text": "x"}]]')
            assert 'accept {"colour": "green"}' in result.text
