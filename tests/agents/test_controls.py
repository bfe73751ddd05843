"""Controls of real agents: model, effort and permission mode, listed, and switched in the middle of a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import trio

from optio_agents.conversation import (
    AgentConversation,
    ControlRejected,
    PermissionDecision,
    PermissionRequest,
)
from tests.agents.test_dialogue import shell
from tests.support.agent_lab import HANG_GUARD, Lab

pytestmark = pytest.mark.agents


@dataclass(frozen=True)
class Switch:
    """What is switched: a model to another one as the API sees it, and a mode that asks to one that does not."""

    model: str
    resolved: str
    asking: str
    trusting: str
    effort: str | None = None


SWITCHES = {
    "claude": Switch("sonnet", "claude-sonnet-5-5", "default", "acceptEdits", "max"),
    "codex": Switch("gpt-6-astra", "gpt-6-astra", "untrusted", "never", "high"),
    "gemini": Switch("gemini-2.5-pro", "gemini-2.5-pro", "default", "yolo"),
}


def calls(lab: Lab, words: str) -> list[dict[str, Any]]:
    """The calls of the model whose script begins with these words."""
    return [event for event in lab.events if event.get("steps", [[None, None]])[0] == ["say", words]]


@pytest.mark.parametrize("name", SWITCHES)
async def test_a_model_and_a_permission_mode_are_switched_in_the_middle(lab: Lab, name: str) -> None:
    switch = SWITCHES[name]
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            controls = {control.id: control for control in await conversation.list_controls()}
            assert controls["permission_mode"].value == switch.asking
            assert switch.model in [option.value for option in controls["model"].options or ()]
            assert await runs(conversation, name, "first") == "asked"

            # In the middle: while a turn runs.
            running = await conversation.send("[[say before]][[wait go]]")
            await lab.waiting("go")
            assert await conversation.set_control("model", switch.model)
            assert await conversation.set_control("permission_mode", switch.trusting)
            if switch.effort is not None:
                assert await conversation.set_control("reasoning_effort", switch.effort)
            await lab.release("go")
            end = await running.wait()
            assert end.turn is not None
            assert end.turn.text.strip() == "before"

            assert (await conversation.ask("[[say after]]")).text.strip() == "after"
            (before,), (after,) = calls(lab, "before"), calls(lab, "after")
            assert before["model"] != after["model"] == switch.resolved
            if switch.effort is not None:
                assert before["effort"] != after["effort"] == switch.effort
            assert await runs(conversation, name, "second") == "not asked"

            assert await conversation.set_control("permission_mode", switch.asking)
            assert await runs(conversation, name, "third") == "asked"
            values = {control.id: control.value for control in conversation.controls}
            assert (values["model"], values["permission_mode"]) == (switch.model, switch.asking)
            for file in ("first", "second", "third"):
                assert (lab.workdir / file).exists()


@pytest.mark.parametrize(
    ("name", "refused"), [("claude", "bypassPermissions"), ("codex", "sometimes"), ("gemini", "sometimes")]
)
async def test_a_mode_that_cannot_be_is_refused_with_a_reason_and_nothing_changes(
    lab: Lab, name: str, refused: str
) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            with pytest.raises(ControlRejected, match=r"dangerously-skip-permissions|cannot be 'sometimes'"):
                await conversation.set_control("permission_mode", refused)
            assert not await conversation.set_control("no-such-control", "x")
            assert await runs(conversation, name, "still") == "asked"


async def runs(conversation: AgentConversation, name: str, file: str) -> str:
    """Let the agent make a file, with permission if it asks for it; whether it did."""
    requests: list[PermissionRequest] = []

    def allow(request: PermissionRequest) -> PermissionDecision:
        requests.append(request)
        return PermissionDecision("allow")

    unsubscribe = conversation.on_permission_request(allow)
    await conversation.ask(shell(name, f"touch {file}"))
    unsubscribe()
    return "asked" if requests else "not asked"
