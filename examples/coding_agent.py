"""A session whose agent is Claude Code: it delivers a file, is answered in its conversation, and says DONE.

    python examples/coding_agent.py "Write a haiku about the sea" [claude or how to run it]

Needs `claude` on the PATH, logged in. Everything that it asks permission for is printed and allowed: it
works in a temporary directory, but it is not locked into it.
"""

from __future__ import annotations

import sys
import tempfile

import trio

from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.conversation import PermissionDecision, PermissionRequest, claude
from optio_agents.conversation.agent_body import AgentBody
from optio_agents.hosts.local import LocalHost

PROTOCOL = get_protocol()


class PrintingContext:
    """The least that a session needs of a process context: somewhere to report progress to."""

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        """Print it."""
        print("" if percent is None else f"{percent:.0f}%", message or "")

    def should_continue(self) -> bool:
        """Never cancelled."""
        return True


async def take(hook_context: HookContext, path: str, text: str) -> str | None:
    """Look at a deliverable; what is returned is said to the agent, None accepts it."""
    print(f"--- {path}\n{text}\n---")
    return None if text.strip() else "it is empty; please write something and deliver it again"


def allow(request: PermissionRequest) -> PermissionDecision:
    """Say what it wants to do, and let it."""
    print("allowed:", request.tool_name, request.input)
    return PermissionDecision("allow")


async def main(task: str, command: list[str]) -> None:
    """One session in a temporary directory."""
    prompt = f"{PROTOCOL.documentation}\n\n## Your task\n\n{task}. Deliver the result as a file."
    body = AgentBody(agent=claude(command), prompt=prompt, on_permission_request=allow)
    with tempfile.TemporaryDirectory() as taskdir:
        outcome = await run_log_protocol_session(
            LocalHost(taskdir), PrintingContext(), body=body, on_deliverable=take, protocol=PROTOCOL
        )
    print("ended:", outcome.ending.value, outcome.message or "")


if __name__ == "__main__":
    trio.run(
        main, sys.argv[1] if len(sys.argv) > 1 else "Write a haiku about the sea", sys.argv[2:] or ["claude"]
    )
