import pytest

from optio_agents.cli.durations import clock
from optio_agents.cli.run.output.events import RunEnded, RunEvent
from optio_agents.cli.run.output.plain_text import (
    event_line,
    failure_lines,
    headline,
    readable,
    size_text,
)
from optio_agents.session.events import DeliverableSettled, Ended, ProgressReported
from tests.cli.samples import ACCEPTED, DONE, EARLY, EVERY, FAILED, REJECTED


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_each_is_one_line_that_a_terminal_can_bear(event: RunEvent) -> None:
    line = event_line(event)
    if isinstance(event, Ended | RunEnded) or event == ProgressReported(50, None):
        return
    assert line
    line.encode("utf-8")
    assert line.isprintable()


def test_a_long_text_is_cut() -> None:
    assert len(readable("x" * 100_000)) == 400


@pytest.mark.parametrize(
    ("percent", "message", "line"),
    [
        (5, "reading", "  5% reading"),
        (100, "x", "100% x"),
        (None, "x", "     x"),
        (12.6, "", " 13%"),
        (None, "", None),
    ],
)
def test_progress_stands_in_columns(percent: float | None, message: str, line: str | None) -> None:
    assert event_line(ProgressReported(percent, message)) == line


def test_deliverables() -> None:
    assert event_line(DeliverableSettled(ACCEPTED)) == "deliverable out/report.md: saved, 1.5 KiB"
    assert event_line(DeliverableSettled(REJECTED)) == "deliverable missing.txt: rejected: missing"
    assert event_line(DeliverableSettled(FAILED)) == "deliverable big.bin: could not be saved"


def test_sizes_and_times() -> None:
    sizes = [size_text(size) for size in (0, 1, 1023, 1024, 1024**2, 5 * 1024**4, None)]
    assert sizes == ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "1.0 MiB", "5120.0 GiB", "unknown size"]
    assert [clock(seconds) for seconds in (0, 7.9, 75, 3723)] == ["0:00", "0:07", "1:15", "1:02:03"]


def test_the_end_in_one_line() -> None:
    assert headline(DONE) == "done after 1:15, 1 deliverable saved in out: all of it"
    assert headline(EARLY) == "failed after 0:03: the agent ended before DONE (exit status 3)"


def test_what_helps_with_a_failure() -> None:
    lines = failure_lines(EARLY)
    assert lines[0] == "not saved: big.bin: No space left on device"
    assert lines[1].startswith("problem: one two red")
    assert lines[2] == "did not stop in time: body at x.py:1"
    assert lines[3:] == [
        "the end of its output:",
        "  | Traceback:",
        "  | KeyError",
        "its whole output: /tmp/kept.log",
        "hint: look there",
    ]
    assert failure_lines(DONE) == []
