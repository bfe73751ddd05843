from __future__ import annotations

import io

from rich.console import Console

from optio_agents.cli.chat.question_screen import HELD_LIMIT, QuestionScreen, harmless


def screen_of(out: io.StringIO) -> QuestionScreen:
    return QuestionScreen(Console(file=out, width=80, highlight=False, markup=False, emoji=False))


def test_running_text_waits_while_a_question_is_on_the_screen() -> None:
    out = io.StringIO()
    screen = screen_of(out)
    screen.write("half a li")
    screen.hold(True)
    screen.line("May it run?", "bold")
    screen.write("ne")
    screen.write("· an event\n", own_line=True)
    assert out.getvalue() == "half a li\nMay it run?\n"
    screen.hold(False)
    assert out.getvalue() == "half a li\nMay it run?\nne\n· an event\n"


def test_of_too_much_held_text_the_last_is_kept() -> None:
    out = io.StringIO()
    screen = screen_of(out)
    screen.hold(True)
    for text in ("first", "x" * HELD_LIMIT, "last"):
        screen.write(text)
    screen.hold(False)
    assert out.getvalue() == "last"


def test_a_line_begins_at_the_start_of_a_line() -> None:
    out = io.StringIO()
    screen = screen_of(out)
    screen.write("text")
    screen.line("a note", "dim")
    screen.line("another", "dim")
    assert out.getvalue() == "text\na note\nanother\n"


def test_harmless_text_keeps_its_lines_and_nothing_that_moves_the_cursor() -> None:
    assert "\x1b" not in harmless("a\x1b[2J\n\nb")
    assert harmless("one\n\ntwo\n") == "one\n\ntwo\n"
