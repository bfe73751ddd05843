"""The same dialogue with each real agent: turns, permissions, interrupts, errors, death."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
import trio

from optio_agents.conversation import (
    AgentConversation,
    AgentNotStarted,
    ConversationClosed,
    ConversationState,
    Event,
    Fate,
    InterruptKind,
    PermissionDecision,
    PermissionRequest,
    Subscription,
    TurnStatus,
)
from tests.support.agent_lab import HANG_GUARD, Lab

pytestmark = pytest.mark.agents

NAMES = ["claude", "codex", "gemini"]
ERRORS = {"claude": 529, "codex": 400, "gemini": 400}


def shell(name: str, command: str) -> str:
    """The directive that runs a shell command with an agent's own tool."""
    tools: dict[str, tuple[str, dict[str, Any]]] = {
        "claude": ("Bash", {"command": command, "description": "d"}),
        "codex": ("exec_command", {"cmd": command}),
        "gemini": ("run_shell_command", {"command": command, "description": "d"}),
    }
    tool, given = tools[name]
    return f"[[tool {tool} {json.dumps(given)}]]"


async def text_seen(events: Subscription[Event], wanted: str) -> int | None:
    """Wait until the agent has written `wanted`; which turn it belongs to."""
    text = ""
    async for event in events:
        text += event.text
        if wanted in text:
            return event.turn
    raise AssertionError(f"the conversation ended after {text!r}")


async def asked(conversation: AgentConversation) -> PermissionRequest:
    """Wait for a permission request."""
    await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
    (request,) = conversation.permission_requests
    return request


@pytest.mark.parametrize("name", NAMES)
async def test_turns_and_messages_while_it_is_busy(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            assert (await conversation.ask("[[say first answer]]")).text.strip() == "first answer"
            messages: list[str] = []
            conversation.on_message(messages.append)
            with conversation.events() as events:
                busy = await conversation.send("[[say begin]][[wait go]][[say end]]")
                queued = [await conversation.send(f"[[say queued {number}]]") for number in (1, 2)]
                assert await text_seen(events, "begin") == 2
                assert len(conversation.queued) == 2
                await lab.release("go")
                ends = [await sent.wait() for sent in (busy, *queued)]
            assert [end.fate for end in ends] == [Fate.ANSWERED] * 3
            texts = [end.turn.text.strip() for end in ends if end.turn]
            assert texts == ["begin end", "queued 1", "queued 2"]
            report = await conversation.close()
            assert report.unsent == ()
            assert "exit status 0" in report.how
        assert [message.strip() for message in messages] == texts


@pytest.mark.parametrize("name", NAMES)
async def test_permissions_allowed_denied_and_changed(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            sent = await conversation.send(shell(name, "touch allowed"))
            request = await asked(conversation)
            assert "touch allowed" in json.dumps(request.input)
            await conversation.decide(request, PermissionDecision("allow"))
            end = await sent.wait()
            assert end.turn is not None
            assert end.turn.status is TurnStatus.COMPLETED
            assert (lab.workdir / "allowed").exists()

            sent = await conversation.send(shell(name, "touch denied"))
            await conversation.decide(
                await asked(conversation), PermissionDecision("deny", message="not now")
            )
            assert (await sent.wait()).fate is Fate.ANSWERED
            assert not (lab.workdir / "denied").exists()

            sent = await conversation.send(shell(name, "touch original"))
            request = await asked(conversation)
            changed = {"command": "touch changed", "description": "d"}
            await conversation.decide(request, PermissionDecision("allow", updated_input=changed))
            await sent.wait()
            # An agent that cannot run the changed input runs nothing, because the original was not allowed.
            assert not (lab.workdir / "original").exists()
            assert (lab.workdir / "changed").exists() == conversation.capabilities.change_input
            assert (await conversation.ask("[[say still here]]")).text.strip() == "still here"


@pytest.mark.parametrize("name", NAMES)
async def test_interrupts_wherever_the_turn_is(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            # Before the turn has started.
            await conversation.send("[[say never]][[wait for ever]]")
            receipt = await conversation.interrupt()
            assert receipt.kind is InterruptKind.INTERRUPTED
            # While it streams, twice at once, with something queued.
            with conversation.events() as events:
                await conversation.send("[[say streaming]][[wait for ever]]")
                queued = await conversation.send("[[say after]]")
                assert await text_seen(events, "streaming") == 2
                kinds = []

                async def interrupt() -> None:
                    kinds.append((await conversation.interrupt()).kind)

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(interrupt)
                    nursery.start_soon(interrupt)
                assert kinds == [InterruptKind.INTERRUPTED] * 2
                end = await queued.wait()
            assert end.turn is not None
            assert (end.turn.turn, end.turn.text.strip()) == (3, "after")
            # While a permission request is open; the late answer has no effect.
            await conversation.send(shell(name, "touch never"))
            request = await asked(conversation)
            receipt = await conversation.interrupt()
            assert receipt.kind is InterruptKind.INTERRUPTED
            assert conversation.permission_requests == ()
            assert not await conversation.decide(request, PermissionDecision("allow"))
            # While a tool runs.
            fifo = lab.fifo("running")
            await conversation.send(shell(name, f"echo up > {fifo.path}; sleep 1000"))
            await conversation.decide(await asked(conversation), PermissionDecision("allow"))
            assert await fifo.written() == b"up\n"
            receipt = await conversation.interrupt()
            assert receipt.kind is InterruptKind.INTERRUPTED
            # When nothing runs.
            assert (await conversation.interrupt()).kind is InterruptKind.NOTHING_RUNNING
            assert (await conversation.ask("[[say on we go]]")).text.strip() == "on we go"
            assert not (lab.workdir / "never").exists()


@pytest.mark.parametrize("name", NAMES)
async def test_stop_and_send(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            with conversation.events() as events:
                running = await conversation.send("[[say long]][[wait for ever]]")
                await text_seen(events, "long")
            urgent = await conversation.stop_and_send("[[say urgent]]")
            stopped, end = await running.wait(), await urgent.wait()
            assert stopped.turn is not None
            assert stopped.turn.status is TurnStatus.INTERRUPTED
            assert end.turn is not None
            assert end.turn.text.strip() == "urgent"


@pytest.mark.parametrize("name", NAMES)
async def test_an_error_of_the_api_fails_the_turn_and_the_next_one_works(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            failed = await conversation.ask(f"[[error {ERRORS[name]}]]")
            assert failed.status is TurnStatus.FAILED
            assert str(ERRORS[name]) in (failed.error or "")
            assert (await conversation.ask("[[say recovered]]")).text.strip() == "recovered"


@pytest.mark.parametrize("name", NAMES)
async def test_kill_9_of_the_agent_while_its_tool_runs_leaves_nothing(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        with pytest.raises(ConversationClosed, match="SIGKILL"):
            async with lab.talk(name) as conversation:
                fifo = lab.fifo("running")
                running = await conversation.send(shell(name, f"echo $PPID > {fifo.path}; sleep 1000"))
                queued = await conversation.send("[[say never]]")
                await conversation.decide(await asked(conversation), PermissionDecision("allow"))
                await fifo.written()
                os.kill(agent_pid(lab), signal.SIGKILL)
                lost, unsent = await running.wait(), await queued.wait()
                assert lost.turn is not None
                assert lost.turn.status is TurnStatus.LOST
                assert unsent.fate is Fate.UNSENT
                await conversation.wait_closed()
                assert lab.survivors() == []
                await conversation.send("x")


def agent_pid(lab: Lab) -> int:
    """The agent: the one of its processes whose parent is ours."""
    from optio_agents.hosts.processes.snapshot import read_marked, read_snapshot

    snapshot = read_snapshot()
    marked = read_marked(snapshot, {"HOME": str(lab.home)})
    (pid,) = (pid for pid in marked if snapshot[pid].parent == os.getpid())
    return pid


@pytest.mark.parametrize("name", NAMES)
async def test_close_in_the_middle_of_a_tool_leaves_nothing(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            fifo = lab.fifo("running")
            running = await conversation.send(shell(name, f"echo up > {fifo.path}; sleep 1000"))
            await conversation.send("[[say never sent]]")
            await conversation.decide(await asked(conversation), PermissionDecision("allow"))
            await fifo.written()
            report = await conversation.close()
            assert report.unsent == ("[[say never sent]]",)
            end = await running.wait()
            assert end.turn is not None
            assert end.turn.status is TurnStatus.INTERRUPTED
            assert lab.survivors() == []


@pytest.mark.parametrize("name", NAMES)
async def test_cancelling_the_owner_leaves_nothing(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        with trio.CancelScope() as scope:
            async with lab.talk(name) as conversation:
                with conversation.events() as events:
                    await conversation.send("[[say streaming]][[wait for ever]]")
                    await text_seen(events, "streaming")
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert lab.survivors() == []


@pytest.mark.parametrize("name", ["claude", "codex"])
async def test_a_steering_message_becomes_part_of_the_turn(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            fifo = lab.fifo("running")
            proceed = lab.workdir / "proceed"
            os.mkfifo(proceed)
            running = await conversation.send(shell(name, f"echo up > {fifo.path}; cat {proceed}"))
            await conversation.decide(await asked(conversation), PermissionDecision("allow"))
            await fifo.written()
            steered = await conversation.steer("please also consider this")
            with conversation.events() as events:
                async with await trio.open_file(proceed, "w") as file:
                    await file.write("go")
                end, folded = await running.wait(), await steered.wait()
                assert events is not None
            assert end.fate is Fate.ANSWERED
            assert folded.fate is Fate.FOLDED
            assert folded.turn == end.turn
            assert conversation.state is ConversationState.IDLE


@pytest.mark.parametrize("name", NAMES)
async def test_a_usage_error_is_told_in_one_clear_sentence(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        with pytest.raises(AgentNotStarted, match=f"(?s){name} was not ready.*bogus"):
            async with lab.talk(name, arguments=["--bogus-option"]):
                raise AssertionError("it was ready")


async def test_four_agents_at_once(lab: Lab) -> None:
    answers: list[str] = []

    async def one(number: int) -> None:
        async with lab.talk("claude") as conversation:
            for turn in range(3):
                answers.append((await conversation.ask(f"[[say agent {number} turn {turn}]]")).text.strip())

    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(one, number)
    assert sorted(answers) == [f"agent {number} turn {turn}" for number in range(4) for turn in range(3)]
