import io
from dataclasses import replace

import pytest
from rich.console import Console

from optio_agents.cli.run.output.events import RunEnded, RunEvent, RunInterrupted
from optio_agents.cli.run.output.live_display import Display, render_end
from optio_agents.cli.run.output.live_view import RunView
from optio_agents.session.events import AttentionAsked, BrowserAsked, DeliverableSettled, ProgressReported
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


def end_of(ended: RunEnded, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=True, color_system=None, _environ={}).print(
        render_end(ended)
    )
    return file.getvalue().splitlines()


def test_the_result_comes_below_the_last_frame() -> None:
    assert not any("done after" in line for line in drawn(*RUNNING, DONE))
    assert end_of(DONE, 80) == ["✔ done after 1:15, 1 deliverable saved in out: all of it"]
    assert end_of(EARLY, 80) == ["✘ failed after 0:03: the agent ended before DONE (exit status 3)"]


@pytest.mark.parametrize("width", [20, 40, 200])
def test_the_result_is_wrapped_and_never_cut(width: int) -> None:
    reason = "the database refuses our credentials " * 20
    lines = end_of(replace(EARLY, reason=reason), width)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()).endswith("".join(reason.split()))


def test_an_address_is_shown_whole() -> None:
    url = "https://example.org/?" + "a1b2" * 100
    assert url in "".join(drawn(BrowserAsked(url), width=40))


def test_an_ascii_terminal_gets_ascii() -> None:
    lines = drawn(*RUNNING, DONE, encoding="ascii")
    assert "?" not in "".join(lines).replace("which colour?", "")
    assert any(line.startswith("+ out/report.md") for line in lines)


@pytest.mark.parametrize("width", [1, 10, 20, 40, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in drawn(*EVERY, width=width))
