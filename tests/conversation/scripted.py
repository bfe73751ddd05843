"""A session whose agent is a small script that speaks the Agent Client Protocol."""

from __future__ import annotations

import sys
from pathlib import Path

from optio_agents import HookContext
from optio_agents.conversation import acp

AGENT = acp("scripted", [sys.executable, str(Path(__file__).parents[1] / "support" / "acp_agent.py")])

DELIVERING = "file:deliverables/a.txt log:DELIVERABLE:_deliverables/a.txt"
"""A prompt for it: write a deliverable and say so in optio.log. It says DONE when it has the reply."""

HANG_GUARD = 60.0


class Context:
    """A session's context that never cancels."""

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        pass

    def should_continue(self) -> bool:
        return True


async def accept(hook_context: HookContext, path: str, text: str) -> str | None:
    """Take what `DELIVERING` delivers."""
    assert (path, text) == ("a.txt", "content\n")
    return None
