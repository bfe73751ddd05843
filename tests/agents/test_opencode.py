"""OpenCode, where it is installed (`install.py opencode`): large and slow to start, so one dialogue says it all."""

from __future__ import annotations

import json

import pytest
import trio

from optio_agents.conversation import (
    AgentConversation,
    ControlRejected,
    ConversationState,
    InterruptKind,
    PermissionDecision,
    PermissionRequest,
    TurnStatus,
)
from tests.support.agent_lab import HANG_GUARD, Lab

pytestmark = pytest.mark.agents


def bash(command: str) -> str:
    return f"[[tool bash {json.dumps({'command': command, 'description': 'd'})}]]"


async def asked(conversation: AgentConversation) -> PermissionRequest:
    await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
    (request,) = conversation.permission_requests
    return request


async def test_the_controls_of_opencode(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("opencode") as conversation:
            controls = {control.id: control.value for control in await conversation.list_controls()}
            assert controls == {"model": "fake/fake-model", "permission_mode": "build"}
            running = await conversation.send("[[say before]][[wait go]]")
            await lab.waiting("go")
            assert await conversation.set_control("model", "fake/other-model")
            assert await conversation.set_control("permission_mode", "plan")
            await lab.release("go")
            await running.wait()
            await conversation.ask("[[say after]]")
            models = [event["model"] for event in lab.events if event["event"] == "request"]
            assert models == ["fake-model", "other-model"]
            with pytest.raises(ControlRejected, match="model not found"):
                await conversation.set_control("model", "fake/none")
            assert conversation.controls[1].value == "plan"


async def test_a_dialogue_with_opencode(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("opencode") as conversation:
            assert (await conversation.ask("[[say first answer]]")).text.strip() == "first answer"

            allowed = await conversation.send(bash("touch allowed"))
            request = await asked(conversation)
            assert request.input["command"] == "touch allowed"
            await conversation.decide(request, PermissionDecision("allow"))
            end = await allowed.wait()
            assert end.turn is not None
            assert end.turn.status is TurnStatus.COMPLETED
            assert (lab.workdir / "allowed").exists()

            denied = await conversation.send(bash("touch denied"))
            await conversation.decide(await asked(conversation), PermissionDecision("deny"))
            await denied.wait()
            assert not (lab.workdir / "denied").exists()

            # While it streams, with something queued.
            await conversation.send("[[say streaming]][[wait for ever]]")
            queued = await conversation.send("[[say after]]")
            await lab.waiting("for ever")
            receipt = await conversation.interrupt()
            assert (receipt.kind, receipt.queued) == (InterruptKind.INTERRUPTED, ("[[say after]]",))
            after = await queued.wait()
            assert after.turn is not None
            assert after.turn.text.strip() == "after"

            # While it asks.
            await conversation.send(bash("touch never"))
            await asked(conversation)
            assert (await conversation.interrupt()).kind is InterruptKind.INTERRUPTED
            assert conversation.permission_requests == ()

            # While a tool runs; then it goes on as if nothing had been.
            fifo = lab.fifo("running")
            await conversation.send(bash(f"echo up > {fifo.path}; sleep 1000"))
            await conversation.decide(await asked(conversation), PermissionDecision("allow"))
            assert await fifo.written() == b"up\n"
            assert (await conversation.interrupt()).kind is InterruptKind.INTERRUPTED
            assert (await conversation.ask("[[say on we go]]")).text.strip() == "on we go"
            assert not (lab.workdir / "never").exists()
        assert lab.survivors() == []


async def test_a_later_opencode_takes_up_the_session(lab: Lab) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("opencode") as conversation:
            await conversation.ask("[[say remember]]")
            session = conversation.session
        assert session
        async with lab.talk("opencode", resume=session) as conversation:
            assert (await conversation.ask("[[say resumed]]")).text.strip() == "resumed"
            assert conversation.session == session
