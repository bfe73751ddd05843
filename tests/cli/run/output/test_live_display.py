import io

import pytest
from rich.console import Console

from optio_agents.cli.run.output.events import RunEvent, RunInterrupted
from optio_agents.cli.run.output.live_display import Display
from optio_agents.cli.run.output.live_view import RunView
from optio_agents.session.events import AttentionAsked, DeliverableSettled, ProgressReported
from tests.cli.samples import ACCEPTED, DONE, EARLY, EVERY, REJECTED


def drawn(*events: RunEvent, width: int = 80, elapsed: float = 65, encoding: str = "utf-8") -> list[str]:
    view = RunView("agent.py")
    for event in events:
        view.apply(event)
    display = Display(view)
    display.elapsed = elapsed
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    Console(file=file, width=width, force_terminal=True, color_system=None, _environ={}).print(display)
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


RUNNING: list[RunEvent] = [
    ProgressReported(50, "writing the report"),
    DeliverableSettled(ACCEPTED),
    DeliverableSettled(REJECTED),
    AttentionAsked("which colour?"),
]


def test_a_run_at_a_glance() -> None:
    lines = drawn(*RUNNING)
    assert "agent.py" in lines[0]
    assert lines[0].endswith("1:05")
    assert lines[1].endswith("50%")
    assert lines[2] == "  writing the report"
    assert lines[3] == "▲ needs you: which colour?"
    assert lines[5].split(maxsplit=2) == ["✔", "out/report.md", "saved, 1.5 KiB"]
    assert lines[6].split(maxsplit=2) == ["✘", "missing.txt", "rejected: missing"]


def test_the_bar_grows_with_the_percent() -> None:
    def filled(percent: float) -> int:
        # Without colours rich draws only the part that is done.
        return drawn(ProgressReported(percent, "x"))[1].count("━")

    assert 0 == filled(0) < filled(30) < filled(60) < filled(100)


def test_an_ending_says_so_in_place_of_the_status() -> None:
    assert (
        drawn(*RUNNING, RunInterrupted("SIGINT"))[2] == "  ending the agent: SIGINT (Ctrl-C: kill it at once)"
    )


def test_the_last_frame_is_the_result() -> None:
    assert drawn(*RUNNING, DONE)[0] == "✔ done after 1:15, 1 deliverable saved: all of it"
    assert drawn(EARLY)[0] == "✘ failed after 0:03: the agent ended before DONE (exit status 3)"


def test_an_ascii_terminal_gets_ascii() -> None:
    lines = drawn(*RUNNING, DONE, encoding="ascii")
    assert "?" not in "".join(lines).replace("which colour?", "")
    assert any(line.startswith("+ out/report.md") for line in lines)


@pytest.mark.parametrize("width", [1, 10, 20, 40, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(*EVERY, width=width)
    assert all(len(line) <= width for line in lines)
    assert len(lines) < 25
