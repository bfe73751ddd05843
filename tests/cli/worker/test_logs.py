"""The worker's log: each line a JSON object with the fields of its session, or text."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from optio_agents.cli.worker.logs import JsonFormatter
from optio_agents.session.session_log import SessionLog, logger

PROGRAM = """
import logging, sys, warnings
from optio_agents.cli.worker.logs import configure_logs
log = configure_logs(sys.argv[1], sys.argv[2], verbose="-v" in sys.argv)
log.announce("ready")
logging.getLogger("a").info("informs")
logging.getLogger("a").warning("two\\nlines \\u2028 \\ud800")
warnings.warn("old")
"""


def formatted(record: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(record)
    assert len(line.splitlines()) == 1
    entry: dict[str, Any] = json.loads(line)
    return entry


def written(*arguments: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return ended.stderr.splitlines()


def test_a_session_s_record_has_its_fields_and_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger.name)
    try:
        raise ValueError("bad\nvalue")
    except ValueError as error:
        SessionLog("task 1").write(logging.ERROR, "it\nfailed", actor="reader", error=error)
    entry = formatted(caplog.records[-1])
    assert entry["time"].endswith("+00:00")
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", logger.name, "it\nfailed")
    assert (entry["process_id"], entry["actor"]) == ("task 1", "reader")
    assert isinstance(entry["session"], int)
    assert "Traceback" in entry["traceback"]
    assert "ValueError: bad" in entry["traceback"]


def test_a_record_inside_a_trace_names_it() -> None:
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "x", None, None)
    record.otelTraceID, record.otelSpanID = "abc", "def"
    assert (formatted(record)["trace_id"], formatted(record)["span_id"]) == ("abc", "def")
    record.otelTraceID = record.otelSpanID = "0"
    assert "trace_id" not in formatted(record)


def test_every_line_of_json_is_an_object_and_the_level_counts() -> None:
    entries = [json.loads(line) for line in written("json", "warning")]
    assert [entry["message"].partition("\n")[0] for entry in entries[:2]] == ["ready", "two"]
    assert "old" in entries[2]["message"]
    assert len(entries) == 3


def test_text_stays_and_verbose_adds_what_informs() -> None:
    assert written("text", "error")[0] == "ready"
    assert any(line.endswith("INFO a: informs") for line in written("text", "error", "-v"))
