"""The lines that a run writes into the log of its process: one for each deliverable and each request to a human.

optio passes ATTENTION, CLIENT_MESSAGE and BROWSER on to a browser that is open at that moment. A user who looks later
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
"""The most characters of a client message's data that its line shows."""

DIGEST_CHARACTERS = 16
"""Characters of a deliverable's digest that its line shows: enough to distinguish two versions. The blob has all."""


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
        """Handle one event."""
        if self._observe is not None:
            self._observe(event)
        if isinstance(event, ProgressReported):
            self.percent = self.percent if event.percent is None else event.percent
        elif (line := line_for(event)) is not None:
            # With the percentage, because a line without one makes the progress bar indeterminate.
            self._ctx.report_progress(self.percent, line)


def line_for(event: SessionEvent) -> str | None:
    """The line for `event`; `None` for an event without one, or one that the session reports itself."""
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
