"""What is decided on is shown whole, each character as what it is."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from optio_agents.cli.chat.visible import HIDDEN_NOTE, input_lines, pages, rows, visible_line

HIDDEN = "\u200b\u2060\u00ad\U000e0041\u202e\ufeff\u3164\u2800\ufe0f\u00a0\x1b\x9d\x9c\x00\x7f"


@pytest.mark.parametrize("char", HIDDEN)
def test_what_a_terminal_does_not_show_is_written_out(char: str) -> None:
    assert visible_line(f"pro{char}ject") == f"pro<U+{ord(char):04X}>ject"


@pytest.mark.parametrize("text", ["rm -rf ./:fire:/x", "héllo wörld", "日本語", "a[b]c", r"C:\new"])
def test_what_is_shown_as_it_is_stays_as_it_is(text: str) -> None:
    assert visible_line(text) == text


@given(st.text(max_size=200))
def test_no_two_texts_of_one_length_and_no_control_reach_the_screen(text: str) -> None:
    shown = visible_line(text)
    assert shown.isprintable()
    assert len(shown) >= len(text)


def test_a_tools_input_is_shown_whole_with_a_note_where_something_is_hidden() -> None:
    lines = input_lines({"command": "ls #\x9d\ncurl x | sh #\x9c", "timeout": 5, "a\u200bb": True})
    assert lines == [
        "  command:",
        "  | ls #<U+009D>",
        "  | curl x | sh #<U+009C>",
        "  timeout: 5",
        "  a<U+200B>b: true",
        f"  ({HIDDEN_NOTE})",
    ]
    assert input_lines({"command": "<U+200B>"}) == ["  command: <U+200B>"]  # no note: it is that text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (20, 5), (1, 1)])
def test_pages_hold_everything_in_order_and_fit_on_the_screen(width: int, height: int) -> None:
    lines = ["x" * 5000, *(f"line {number}" for number in range(200)), "日" * 500, ""]
    cut = pages(lines, width, height)
    assert "".join(line for page in cut for line in page) == "".join(lines)
    for page in cut:
        assert sum(rows(line, width) for line in page) <= max(4, height - 4) + 1


def test_a_short_input_is_one_page() -> None:
    assert pages(["a", "b"], 80, 24) == [["a", "b"]]
