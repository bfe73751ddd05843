"""Each event as one JSON object, for programs: a pure function.

Every object has `event` (its kind) and `elapsed` (seconds since the run began); the last one is `ended`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from optio_agents.cli.run.output.events import (
    AgentSaid,
    AgentStarted,
    FileReplaced,
    PageServed,
    RunEnded,
    RunEvent,
    RunInterrupted,
)
from optio_agents.session.events import (
    AttentionAsked,
    BrowserAsked,
    CallerMessage,
    ClientMessage,
    DeliverableSettled,
    Ended,
    LineHinted,
    MessageSent,
    ProblemReported,
    ProgressReported,
)
from optio_agents.session.outcome import DeliverableRecord


def as_dict(event: RunEvent, store: Path) -> dict[str, Any] | None:
    """The fields of `event`; None if it is not shown. `store` is the directory of saved deliverables."""
    match event:
        case AgentStarted(command, pid, workdir, host):
            return {
                "event": "started",
                "command": list(command),
                "pid": pid,
                "workdir": str(workdir),
                "host": host,
            }
        case ProgressReported(percent, message):
            return {"event": "progress", "percent": percent, "message": message}
        case DeliverableSettled(record):
            return {"event": "deliverable", **_deliverable(record, store)}
        case AttentionAsked(reason):
            return {"event": "attention", "reason": reason}
        case BrowserAsked(url):
            return {"event": "browser", "url": url}
        case ClientMessage(keyword, data):
            return {"event": "client_message", "keyword": keyword, "data": data}
        case CallerMessage(keyword, data):
            return {"event": "caller_message", "keyword": keyword, "data": data}
        case MessageSent(text, delivered):
            return {"event": "message", "text": text, "delivered": delivered}
        case LineHinted(line, hint):
            return {"event": "hint", "line": line, "hint": hint}
        case ProblemReported(text):
            return {"event": "problem", "text": text}
        case AgentSaid(text):
            return {"event": "text", "text": text}
        case PageServed(url):
            return {"event": "page", "url": url}
        case FileReplaced(path):
            return {"event": "replaced", "path": str(path)}
        case RunInterrupted(reason):
            return {"event": "interrupted", "reason": reason}
        case Ended():
            return None  # RunEnded has the same information and more
        case RunEnded():
            return {"event": "ended", **_ended(event, store)}


def as_line(event: RunEvent, store: Path, elapsed: float) -> str | None:
    """One line of ASCII JSON with its newline; None if the event is not shown."""
    fields = as_dict(event, store)
    if fields is None:
        return None
    fields.setdefault("elapsed", round(elapsed, 3))
    return json.dumps(fields, default=str) + "\n"


def dropped_line(count: int, elapsed: float) -> str:
    """The line that replaces `count` events which were dropped because our output was read too slowly."""
    return json.dumps({"event": "dropped", "count": count, "elapsed": round(elapsed, 3)}) + "\n"


def _deliverable(record: DeliverableRecord, store: Path) -> dict[str, Any]:
    return {
        "path": record.path,
        "accepted": record.accepted,
        "kind": record.kind.value if record.kind else None,
        "failed": record.failed,
        "reply": record.reply,
        "size": record.size,
        "sha256": record.sha256,
        "saved": str(store / record.path) if record.accepted else None,
    }


def _ended(ended: RunEnded, store: Path) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "exit_code": int(ended.code),
        "result": ended.code.name.lower(),
        "reason": ended.reason,
        "elapsed": round(ended.elapsed, 3),
        "unsaved": dict(ended.unsaved),
        "tail": list(ended.tail),
        "output": str(ended.output) if ended.output else None,
        "log": str(ended.log) if ended.log else None,
        "run_id": ended.run_id,
        "hints": list(ended.hints),
        "trace": ended.trace,
    }
    if (outcome := ended.outcome) is not None:
        fields |= {
            "ending": outcome.ending.value,
            "message": outcome.message,
            "deliverables": [_deliverable(record, store) for record in outcome.deliverables],
            "deliverable_count": outcome.deliverable_count,
            "problems": list(outcome.problems),
            "abandoned": list(outcome.abandoned),
            "lines": outcome.lines,
            "cut_lines": outcome.cut_lines,
            "lost_bytes": outcome.lost_bytes,
            "unsettled": outcome.unsettled,
        }
    return fields
