"""Both channels of a real agent at once: its log and its conversation."""

from __future__ import annotations

import json

import pytest
import trio

from optio_agents import HookContext, run_log_protocol_session
from optio_agents.conversation import PermissionDecision, PermissionRequest
from optio_agents.conversation.agent_body import REMINDER, AgentBody
from optio_agents.hosts.local import LocalHost
from optio_agents.session.outcome import Ending, SessionFailed
from tests.support.agent_lab import HANG_GUARD, PATIENT, Lab

pytestmark = pytest.mark.agents


class Context:
    """The least that a session needs of a ctx."""

    def __init__(self) -> None:
        self.progress: list[str | None] = []

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        self.progress.append(message)

    def should_continue(self) -> bool:
        return True


def bash(command: str) -> str:
    return f"[[tool Bash {json.dumps({'command': command, 'description': 'd'})}]]"


def allow(request: PermissionRequest) -> PermissionDecision:
    return PermissionDecision("allow")


def body(lab: Lab, prompt: str, *, idle_seconds: float = HANG_GUARD) -> AgentBody:
    return AgentBody(
        agent=lab.agent("claude"),
        prompt=prompt,
        on_permission_request=allow,
        home=lab.home,
        environment=lab.environment(),
        options=PATIENT,
        idle_seconds=idle_seconds,
    )


DELIVER = bash(
    "echo 'the sea' > deliverables/poem.txt && echo 'DELIVERABLE: deliverables/poem.txt' >> optio.log"
)


async def test_the_reply_to_a_deliverable_goes_through_the_conversation_and_done_ends_it(lab: Lab) -> None:
    delivered: list[tuple[str, str]] = []
    taken = trio.Event()

    async def take(hook_context: HookContext, path: str, text: str) -> str | None:
        delivered.append((path, text))
        taken.set()
        return None

    async def answer_when_the_reply_is_there() -> None:
        await lab.waiting("delivered")
        await taken.wait()
        # The reply goes into the turn that runs: it arrives together with the result of the next tool.
        await lab.release("delivered")
        await lab.arrived("System: deliverable poem.txt: accepted")
        await lab.release("answered")

    done = bash("echo DONE: wrote it >> optio.log")
    script = f"{DELIVER}[[wait delivered]]{bash('touch looked')}[[wait answered]]{done}"
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_when_the_reply_is_there)
            outcome = await run_log_protocol_session(
                LocalHost(str(lab.base / "task")), Context(), body=body(lab, script), on_deliverable=take
            )
    assert outcome.ending is Ending.DONE
    assert outcome.message == "wrote it"
    assert delivered == [("poem.txt", "the sea\n")]
    (record,) = outcome.deliverables
    assert record.reply.startswith("accepted")
    assert lab.survivors() == []


async def test_an_agent_that_forgets_done_is_reminded(lab: Lab) -> None:
    # It answers the reminder with nothing, so in the end the session says what was missing.
    with trio.fail_after(HANG_GUARD):
        with pytest.raises(SessionFailed, match="before DONE"):
            await run_log_protocol_session(
                LocalHost(str(lab.base / "task")),
                Context(),
                body=body(lab, "[[say finished]]", idle_seconds=0.05),
            )
        await lab.arrived(REMINDER[-100:])
    assert lab.survivors() == []
