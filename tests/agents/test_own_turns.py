"""Turns that real agents begin by themselves: a background shell of claude that ends, a goal of codex."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from optio_agents import run_log_protocol_session
from optio_agents.conversation import (
    AgentConversation,
    ConversationState,
    InterruptKind,
    Origin,
    PermissionDecision,
    Subscription,
    TurnResult,
    TurnStatus,
)
from optio_agents.conversation.agent_body import AgentBody
from optio_agents.hosts.local import LocalHost
from optio_agents.session.outcome import Ending
from tests.agents.test_dialogue import asked, text_seen
from tests.agents.test_session import Context, allow
from tests.support.agent_lab import HANG_GUARD, PATIENT, Lab

pytestmark = pytest.mark.agents


def background(command: str, then: str) -> str:
    """Run a shell command in the background. Its end begins a turn, in which the model does `then`: the description of
    the command comes back in the message that says that it has ended."""
    given = {"command": command, "description": then, "run_in_background": True}
    return f"[[tool Bash {json.dumps(given)}]]"


def gate(lab: Lab) -> tuple[str, str]:
    """A command that runs until the file `open` is there, and the path of that file."""
    path = lab.workdir / "open"
    return f"while [ ! -e {path} ]; do sleep 0.1; done; touch {lab.workdir / 'ended'}", str(path)


async def next_result(results: Subscription[TurnResult]) -> TurnResult:
    return await anext(results)


def allow_all(conversation: AgentConversation) -> None:
    conversation.on_permission_request(lambda request: PermissionDecision("allow"))


async def test_a_background_shell_that_ends_while_idle_begins_a_turn_with_a_result(lab: Lab) -> None:
    command, path = gate(lab)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            allow_all(conversation)
            messages: list[str] = []
            conversation.on_message(messages.append)
            results = conversation.results()
            await conversation.ask(background(command, "((say the build is red))") + "[[say started]]")
            (task,) = conversation.background
            assert task.kind == "local_bash"
            assert conversation.state is ConversationState.IDLE
            await trio.Path(path).touch()
            first, second = await next_result(results), await next_result(results)
            assert (first.origin, first.text.strip()) == (Origin.OURS, "started")
            assert (second.origin, second.text.strip()) == (Origin.AGENT, "the build is red")
            assert conversation.background == ()
        assert [message.strip() for message in messages] == ["started", "the build is red"]


async def test_one_that_ends_while_an_ask_runs_takes_nothing_from_the_answer(lab: Lab) -> None:
    command, path = gate(lab)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            allow_all(conversation)
            results = conversation.results()
            await conversation.ask(
                background(command, "((say own))((wait go on))((say turn))") + "[[say started]]"
            )
            with conversation.events() as events:
                sent = await conversation.send("[[say begin]][[wait end]][[say end]]")
                assert await text_seen(events, "begin") == 2
                await trio.Path(path).touch()
                await trio.Path(lab.workdir / "ended").parent.is_dir()
                async for event in events:
                    if event.raw.get("subtype") == "task_notification":
                        break
                await lab.release("end")
                end = await sent.wait()
                assert end.turn is not None
                assert (end.turn.turn, end.turn.text.strip()) == (2, "begin end")
                # Now it works by itself, and what is asked meanwhile is answered by its own turn.
                assert await text_seen(events, "own") == 3
                asking = await conversation.send("[[say ANSWER]]")
                assert conversation.state is ConversationState.RUNNING
                await lab.release("go on")
                answer = (await asking.wait()).turn
            assert answer is not None
            assert (answer.origin, answer.text.strip()) == (Origin.OURS, "ANSWER")
            texts = [(await next_result(results)).text.strip() for _ in range(4)]
            assert texts == ["started", "begin end", "own turn", "ANSWER"]


async def test_a_request_of_ours_stays_open_when_a_background_shell_ends(lab: Lab) -> None:
    command, path = gate(lab)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            unsubscribe = conversation.on_permission_request(lambda request: PermissionDecision("allow"))
            await conversation.ask(background(command, "its end") + "[[say started]]")
            unsubscribe()
            sent = await conversation.send('[[tool Bash {"command": "touch ours", "description": "d"}]]')
            request = await asked(conversation)
            with conversation.events() as events:
                await trio.Path(path).touch()
                async for event in events:
                    if event.raw.get("subtype") == "task_notification":
                        break
            assert conversation.permission_requests == (request,)
            assert await conversation.decide(request, PermissionDecision("allow"))
            end = await sent.wait()
            assert end.turn is not None
            assert end.turn.status is TurnStatus.COMPLETED
            assert (lab.workdir / "ours").exists()


async def test_a_turn_of_its_own_asks_for_permission(lab: Lab) -> None:
    command, path = gate(lab)
    ask = '((tool Bash {"command": "touch from_background", "description": "d"}))((say done))'
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            unsubscribe = conversation.on_permission_request(lambda request: PermissionDecision("allow"))
            await conversation.ask(background(command, ask) + "[[say started]]")
            unsubscribe()
            results = conversation.results()
            await trio.Path(path).touch()
            request = await asked(conversation)
            assert "from_background" in json.dumps(request.input)
            await conversation.decide(request, PermissionDecision("allow"))
            assert (await next_result(results)).text.strip() == "done"
            assert (lab.workdir / "from_background").exists()


async def test_an_interrupt_stops_a_turn_of_its_own(lab: Lab) -> None:
    command, path = gate(lab)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            allow_all(conversation)
            await conversation.ask(background(command, "((say own))((wait for ever))") + "[[say started]]")
            with conversation.events() as events:
                await trio.Path(path).touch()
                assert await text_seen(events, "own") == 2
            receipt = await conversation.interrupt()
            assert receipt.kind is InterruptKind.INTERRUPTED
            assert receipt.turn is not None
            assert (receipt.turn.turn, receipt.turn.origin) == (2, Origin.AGENT)
            assert (await conversation.ask("[[say next]]")).text.strip() == "next"


async def test_after_a_resume_each_question_has_its_own_answer(lab: Lab) -> None:
    command, _ = gate(lab)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            allow_all(conversation)
            await conversation.ask(background(command, "((say of the dead shell))") + "[[say started]]")
            session = conversation.session
        async with lab.talk("claude", resume=session) as conversation:
            for word in ("one", "two", "three"):
                assert (await conversation.ask(f"[[say answer {word}]]")).text.strip() == f"answer {word}"


async def test_a_session_ends_with_the_done_of_a_turn_that_nobody_asked_for(lab: Lab) -> None:
    command, path = gate(lab)

    class Opening(Context):
        """It ends the work in the background once the session says that it waits for it."""

        def report_progress(self, percent: float | None, message: str | None = None) -> None:
            super().report_progress(percent, message)
            if "background work" in (message or ""):
                Path(path).touch()

    done = '((tool Bash {"command": "echo DONE: built >> optio.log", "description": "d"}))((say finished))'
    body = AgentBody(
        agent=lab.agent("claude"),
        prompt=background(command, done) + "[[say it builds]]",
        on_permission_request=allow,
        home=lab.home,
        environment=lab.environment(),
        options=PATIENT,
        reminders=0,
    )
    with trio.fail_after(HANG_GUARD):
        outcome = await run_log_protocol_session(LocalHost(str(lab.base / "task")), Opening(), body=body)
    assert (outcome.ending, outcome.message) == (Ending.DONE, "built")


async def test_codex_pursues_a_goal_and_answers_what_is_asked_meanwhile(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("codex") as conversation:
            results = conversation.results()
            await conversation.ask('[[tool create_goal {"objective": "the end"}]][[say on my way]]')
            assert (await next_result(results)).origin is Origin.OURS
            own = await next_result(results)
            assert own.origin is Origin.AGENT
            assert [task.kind for task in conversation.background] == ["goal"]
            answer = await conversation.ask('[[tool update_goal {"status": "complete"}]][[say enough]]')
            assert answer.text.strip() == "enough"
            await conversation.wait_background_done()
            await conversation.wait_state(ConversationState.IDLE)


async def test_codex_can_be_stopped_in_a_turn_that_it_began_by_itself(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("codex") as conversation:
            with conversation.events() as events:
                await conversation.ask('[[tool create_goal {"objective": "the end"}]][[say on my way]]')
                async for event in events:
                    # Each is over within a moment: one of them is stopped before that.
                    if event.raw.get("type") == "x-optio-agent-turn":
                        receipt = await conversation.interrupt()
                        if receipt.kind is InterruptKind.INTERRUPTED:
                            break
            assert receipt.turn is not None
            assert receipt.turn.origin is Origin.AGENT
            assert (await conversation.ask("[[say next]]")).text.strip() == "next"
