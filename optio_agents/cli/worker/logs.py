"""The worker's log on stderr: text, or one JSON object per line for what collects logs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

SESSION_FIELDS = ("process_id", "session", "actor")
"""What a session's records have besides (`optio_agents.session.session_log`)."""

TRACE_FIELDS = {"otelTraceID": "trace_id", "otelSpanID": "span_id"}
"""What OpenTelemetry's integration of `logging` adds to a record, and our names for it."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: an object with these keys.

    `time` (ISO 8601 in UTC), `level` (in small letters), `logger`, `message`; `process_id`, `session` and `actor` in
    the records of sessions; `trace_id` and `span_id` inside a recorded trace; `traceback` with an exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = vars(record)
        entry |= {name: fields[name] for name in SESSION_FIELDS if fields.get(name) is not None}
        # "0" is what the integration writes outside a trace.
        entry |= {
            name: fields[theirs] for theirs, name in TRACE_FIELDS.items() if fields.get(theirs, "0") != "0"
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # ASCII alone: no other line end, and nothing that stderr cannot encode.
        return json.dumps(entry, default=str)


class WorkerLog:
    """The log's handler, and the announcements that no level suppresses."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.handler = logging.StreamHandler(sys.stderr)
        self.handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(TEXT))

    @property
    def is_json(self) -> bool:
        """Whether each line is a JSON object."""
        return self._as_json

    def announce(self, text: str, level: int = logging.INFO) -> None:
        """Write a line to stderr: `text` alone, or a JSON object with it."""
        if self._as_json:
            self.handler.handle(
                logging.LogRecord("optio_agents.worker", level, __file__, 0, text, None, None)
            )
        else:
            print(text, file=sys.stderr, flush=True)


def configure_logs(log_format: str, level: str, *, verbose: bool) -> WorkerLog:
    """Send all records of this process to stderr.

    Args:
        log_format: `text` or `json`.
        level: the lowest level that is written, in small letters.
        verbose: `info` is written too.
    """
    log = WorkerLog(as_json=log_format == "json")
    lowest = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=min(lowest, logging.INFO) if verbose else lowest, handlers=[log.handler])
    if log.is_json:
        logging.captureWarnings(True)  # else they would be text among the objects
    return log
