"""What the page of a conversation shows about its run: pure functions."""

from __future__ import annotations

from typing import Any

from optio_agents.cli.run.output.events import RunEnded, RunEvent
from optio_agents.cli.run.output.plain_text import headline
from optio_agents.session.events import AttentionAsked, DeliverableSettled, ProgressReported


def web_note(event: RunEvent) -> dict[str, Any] | None:
    """The `kind` and the fields of an event for the page; `None` for what it does not show."""
    match event:
        case ProgressReported(percent, message):
            return {"kind": "x-optio-progress", "percent": percent, "message": message}
        case AttentionAsked(reason):
            return {"kind": "x-optio-attention", "reason": reason}
        case DeliverableSettled(record):
            return {"kind": "x-optio-deliverable", "path": record.path, "accepted": record.accepted}
        case RunEnded():
            return {"kind": "x-optio-ended", "text": headline(event), "exit_code": int(event.code)}
        case _:
            return None
