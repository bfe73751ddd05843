"""What a run leaves in the log of its process: a line for each deliverable and for each request to a human.

optio passes ATTENTION, CLIENT_MESSAGE and BROWSER on to a browser that is open at that moment. Someone who looks later
finds these lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from optio_agents.protocol.display import display_text
from optio_agents.session.events import (
    AttentionAsked,
    BrowserAsked,
    ClientMessage,
    DeliverableSettled,
    ProgressReported,
    SessionEvent,
)

DATA_CHARACTERS = 500
"""How much of a client message's data its line shows."""

DIGEST_CHARACTERS = 16
"""How much of a deliverable's digest its line shows: enough to tell two versions apart. The blob has all of it."""


class ProcessLog:
    """Observes a session and writes lines into the process's log. Synchronous, as `SessionOptions.on_event` asks.

    Args:
        ctx: the process context.
        observe: the caller's own observer, called first.
    """

    def __init__(self, ctx: Any, observe: Callable[[SessionEvent], None] | None) -> None:
        self._ctx = ctx
        self._observe = observe
        self.percent: float | None = None
        """The last percentage that the agent reported."""

    def __call__(self, event: SessionEvent) -> None:
        """Take one event."""
        if self._observe is not None:
            self._observe(event)
        if isinstance(event, ProgressReported):
            self.percent = self.percent if event.percent is None else event.percent
        elif (line := line_for(event)) is not None:
            # With the percentage, because a line without one makes the progress bar indeterminate.
            self._ctx.report_progress(self.percent, line)


def line_for(event: SessionEvent) -> str | None:
    """The line that `event` leaves; `None` for one that leaves none, or that the session reports itself."""
    match event:
        case AttentionAsked(reason):
            return f"Attention: {display_text(reason)}"
        case BrowserAsked(url):
            return f"Browser: {display_text(url)}"
        case ClientMessage(keyword, data):
            return f"Client message {display_text(keyword)}: {_shown(data)}"
        case DeliverableSettled(record) if record.accepted and record.size is not None:
            digest = f", sha256 {record.sha256[:DIGEST_CHARACTERS]}" if record.sha256 else ""
            return f"Delivered {display_text(record.path)}: {record.size} bytes{digest}"
    return None


def _shown(data: Any) -> str:
    return display_text(json.dumps(data, ensure_ascii=False, default=repr), DATA_CHARACTERS)
