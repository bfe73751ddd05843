"""`chat` with its line editor, at a terminal of several sizes, as a user sees it."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_run import HANG_GUARD
from tests.support.terminal import JOB_CONTROL, Terminal

CLAUDE = Path(__file__).parents[2] / "support" / "claude_agent.py"
MARK = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "


@contextmanager
def chat(tmp_path: Path, *options: str, **environment: Any) -> Iterator[Terminal]:
    """A chat that waits for its first line."""
    settings = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **environment}
    with Terminal(tmp_path, "chat", *options, "--", sys.executable, str(CLAUDE), **settings) as terminal:
        terminal.until_shown("claude is ready")
        terminal.until_row(MARK)
        yield terminal


def steps(*each: list[Any]) -> str:
    """A prompt for the agent."""
    return json.dumps(each)


@pytest.mark.parametrize("size", [(80, 24), (40, 24), (200, 50)])
def test_a_line_is_edited_sent_and_answered(tmp_path: Path, size: tuple[int, int]) -> None:
    with chat(tmp_path, size=size) as terminal:
        terminal.type("helo\x1b[D")
        terminal.until_shown(MARK + "helo")
        terminal.type("l\r")
        terminal.until_shown("hello\nhello")
        terminal.until_row(MARK)
        assert terminal.shown.count("hello") == 2
        terminal.type("\x04")
        terminal.until_shown("--resume")
        assert terminal.process.wait(HANG_GUARD) == 0
        assert terminal.echoes


def test_a_paste_of_several_lines_is_one_message(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type("\x1b[200~first line\rsecond line\x1b[201~")
        terminal.until_shown("second line")
        terminal.type("\r")
        terminal.until_shown(f"{MARK}first line\n  second line\nfirst line second line\n")


def test_text_that_streams_does_not_touch_what_is_typed(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type(steps(["stream", "one\n\ntwo "], ["hang"]) + "\r")
        terminal.until_shown("one\n")
        terminal.type("a draft")
        terminal.until_row(f"{MARK}a draft")
        terminal.until_shown(f"two\n{MARK}a draft")  # the paragraph that is not complete, above the line
        terminal.type("\x03")
        terminal.until_shown("interrupted")
        terminal.until_row(f"{MARK}a draft")
        terminal.type("\r")
        terminal.until_shown("\na draft\n")


def test_a_question_takes_the_input_and_the_line_is_continued_afterwards(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type(steps(["later", [["ask", "Bash", {"command": "touch a"}], ["text", "over"]]]) + "\r")
        terminal.type("a draft y ")
        terminal.until_shown("allow? y/n")
        terminal.type("y")
        terminal.until_shown("over")
        terminal.until_row(f"{MARK}a draft y ")


def test_lines_are_remembered_for_the_next_chat(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type("remember me\r")
        terminal.until_shown("remember me\nremember me")
        terminal.until_row(MARK)
    history = tmp_path / "state" / "optio-agents" / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    with chat(tmp_path) as terminal:
        terminal.type("\x1b[A")
        terminal.until_row(f"{MARK}remember me")


def test_commands_are_completed_and_help_names_them(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type("/he\t")
        terminal.until_row(f"{MARK}/help")
        terminal.type("\r")
        terminal.until_shown("/quit  leave")
        terminal.until_row(MARK)
        terminal.type("/quit\r")
        terminal.until_shown("leaving")
        assert terminal.process.wait(HANG_GUARD) == 0


def test_ctrl_c_discards_a_line_and_twice_leaves(tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type("no, rather not")
        terminal.until_row(f"{MARK}no, rather not")
        terminal.type("\x03")
        terminal.until_row(MARK)
        terminal.type("\x03")
        terminal.until_shown("Ctrl-C again to leave")
        # On a slow machine it takes a few more to be quick enough.
        while "leaving" not in terminal.shown:
            terminal.type("\x03\x03")
            terminal.until_shown("leaving")
        assert terminal.process.wait(HANG_GUARD) == 130
        assert terminal.echoes


def test_ctrl_z_stops_it_and_leaves_the_terminal_as_a_shell_needs_it(tmp_path: Path) -> None:
    with chat(tmp_path, before=JOB_CONTROL) as terminal:
        terminal.type("a draft")
        terminal.until_row(f"{MARK}a draft")
        terminal.type("\x1a")
        terminal.until_shown("stopped")
        assert terminal.echoes
        terminal.type("\n")
        terminal.until_row(f"{MARK}a draft")
        terminal.type("\r")
        terminal.until_shown("a draft\na draft")


def test_a_resize_keeps_the_line(tmp_path: Path) -> None:
    with chat(tmp_path, size=(80, 24)) as terminal:
        terminal.type("a draft")
        terminal.until_row(f"{MARK}a draft")
        terminal.resize(40, 24)
        terminal.type("ed line")
        terminal.until_row(f"{MARK}a drafted line")


def test_markdown_is_rendered_and_acts_on_nothing(tmp_path: Path) -> None:
    text = "# Title\n\n- **bold** item\n\n&#27;[2J <b>html</b> [site](http://a.b/c) <http://x/%1b[2J>\n"
    with chat(tmp_path, NO_COLOR="") as terminal:
        terminal.type(steps(["text", text]) + "\r")
        terminal.until_shown("• bold item")
        terminal.until_shown("<b>html</b> site (http://a.b/c)")
        assert "\x1b[2J" not in terminal.screen
        assert "\x1b]8" not in terminal.screen


@pytest.mark.parametrize("given", ["NO_COLOR", "--color"])
def test_without_colors_there_is_no_color(tmp_path: Path, given: str) -> None:
    options = () if given == "NO_COLOR" else ("--color", "never")
    with chat(tmp_path, *options, NO_COLOR="1" if given == "NO_COLOR" else "") as terminal:
        terminal.type(steps(["text", "```python\nx = 1\n```\n"]) + "\r")
        terminal.until_shown("x = 1\n")
        terminal.until_row(MARK)
        assert not [code for code in range(30, 38) if f"\x1b[{code}m" in terminal.screen]


def test_the_last_session_of_a_directory_is_resumed(tmp_path: Path) -> None:
    with chat(tmp_path, CLAUDE_AGENT_SESSION="s7") as terminal:
        terminal.type(steps(["tool", "Bash", {"command": "make\x1b[2J test"}], ["text", "made"]) + "\r")
        terminal.until_shown("\n· Bash make")
        terminal.until_shown("\nmade\n")
        terminal.until_row(MARK)
        terminal.type("\x04")
        terminal.until_shown("--resume s7")
        assert "\x1b[2J test" not in terminal.screen
    known = json.loads((tmp_path / "state" / "optio-agents" / "chat_sessions.json").read_text())
    assert known == {f"claude:{os.path.realpath(tmp_path)}": "s7"}
    with chat(tmp_path, "--resume", "last") as terminal:
        terminal.type("\x04")
        terminal.until_shown("leaving")


def test_a_last_session_that_is_not_known_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with Terminal(tmp_path, "chat", "--resume", "last") as terminal:
        terminal.until_shown("no session of claude in")
        assert terminal.process.wait(HANG_GUARD) == 2
