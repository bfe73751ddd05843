import io
import os
import pty
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from optio_agents.cli.exit_codes import ExitCode
from optio_agents.cli.run.output.events import RunEnded
from optio_agents.cli.run.output.live_display import Display
from optio_agents.cli.run.output.live_view import RunView
from optio_agents.cli.run.output.writers import (
    LineOutput,
    LiveOutput,
    QuietOutput,
    choose_output,
    open_console,
    plain_dropped,
    plain_line,
    title_of,
)
from optio_agents.cli.run.settings import RunSettings, Show
from optio_agents.session.events import ProgressReported

END = RunEnded(ExitCode.DONE, "ok", 1.0)


def progress(text: object) -> ProgressReported:
    return ProgressReported(None, str(text))


async def test_lines_are_written_in_order_until_the_end() -> None:
    written: list[str] = []
    output = LineOutput(plain_line, plain_dropped, written.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.run)
        for index in range(100):
            output.show(progress(index))
            if index % 7 == 0:
                await trio.testing.wait_all_tasks_blocked()
        output.show(END)
    expected = [f"     {index}" for index in range(100)] + ["done after 0:01: ok"]
    assert "".join(written).splitlines() == expected


async def test_a_reader_that_stands_still_holds_up_nothing_and_loses_by_number() -> None:
    written: list[str] = []
    reading, stuck = threading.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()

    def write(text: str) -> None:
        token.run_sync_soon(stuck.set)
        reading.wait()
        written.append(text)

    output = LineOutput(plain_line, plain_dropped, write, limit=1000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.run)
        output.show(progress("first"))
        await stuck.wait()
        for _ in range(100 + 500):
            output.show(progress("four"))  # ten characters with the newline; returns at once
        reading.set()
        output.show(END)
    lines = "".join(written).splitlines()
    assert lines[0].split() == ["first"]
    assert lines[-2:] == ["... 500 lines left out: the reader is slow", "done after 0:01: ok"]
    assert len(lines) == 1 + 100 + 2


async def test_the_end_of_the_reader_is_an_error() -> None:
    def write(text: str) -> None:
        raise BrokenPipeError

    output = LineOutput(plain_line, plain_dropped, write)
    output.show(progress("x"))
    with pytest.raises(BrokenPipeError):
        await output.run()


async def test_a_stuck_writer_can_be_given_up() -> None:
    release, stuck = threading.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()

    def write(text: str) -> None:
        token.run_sync_soon(stuck.set)
        release.wait()

    output = LineOutput(plain_line, plain_dropped, write)
    output.show(END)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.run)
            await stuck.wait()
            scope.cancel()
    release.set()
    assert scope.cancelled_caught


async def test_the_live_display_draws_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    terminal = open(follower, "w", encoding="utf-8")  # noqa: SIM115 - closed below
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    view = RunView("agent.py")
    output = LiveOutput(view, Display(view.copy()), open_console())
    drawn = io.BytesIO()

    async def wait_for(text: bytes) -> None:
        while text not in drawn.getvalue():
            await trio.lowlevel.wait_readable(leader)
            drawn.write(os.read(leader, 65536))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.run)
            output.show(progress("reading"))
            await wait_for(b"reading")
            output.show(progress("writing"))
            await wait_for(b"writing")
            output.show(END)
            await wait_for(b"done after 0:01: ok")
            await wait_for(b"\x1b[?25h")  # the cursor is back
    terminal.close()
    os.close(leader)


def make(tmp_path: Path, show: Show) -> RunSettings:
    return RunSettings(command=("/bin/true",), workdir=None, deliverables=tmp_path, show=show)


async def test_no_terminal_gets_plain_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for show in (Show.AUTO, Show.JSON, Show.QUIET):
        output = choose_output(make(tmp_path, show))
        assert isinstance(output, QuietOutput if show is Show.QUIET else LineOutput)
        output.show(progress("x"))
        output.show(END)
        await output.run()
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == ["     x", "done after 0:01: ok"]
    assert all(line.startswith("{") for line in lines[2:])


def test_a_script_gives_its_name_to_the_run() -> None:
    assert title_of(("/usr/bin/python3", "dir/agent.py", "-x")) == "agent.py"
    assert title_of(("/usr/bin/python3", "-c", "print()")) == "python3"
    assert title_of(("/opt/agent", "task.md")) == "agent"
