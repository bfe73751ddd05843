import pytest
from hypothesis import given, settings, strategies as st

from optio_agents.protocol.display import display_text
from optio_agents.protocol.limits import MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\u00fcber \u4e2d \U0001f600", "\u00fcber \u4e2d \U0001f600"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;unterminated title is shown", "0;unterminated title is shown"),
        ("\x1bcreset\x1b(B", "reset"),
        ("\x1b", ""),
        ("\x1b\x1b[31m", ""),
        ("a\tb\r\nc\u2028d", "a b c d"),
        ("a\x00b\x07c\x7fd\x85e\x9fg", "abcd eg"),
        ("\ufeffBOM", "BOM"),
        ("abc\u202edcba\u2066x\u200f", "abcdcbax"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    ],
)
def test_what_could_do_harm_is_gone(text: str, shown: str) -> None:
    assert display_text(text) == shown


def test_long_text_is_cut_and_says_so() -> None:
    shown = display_text("x" * 17_000_000)
    assert len(shown) == MESSAGE_LIMIT
    assert shown.endswith("x\u2026 (cut, 17000000 characters)")
    assert display_text("x" * MESSAGE_LIMIT) == "x" * MESSAGE_LIMIT


def test_a_flood_of_escape_sequences_costs_no_more_than_its_limit() -> None:
    shown = display_text("\x1b[31m" * 1_000_000 + "hidden", 100)
    assert shown == "\u2026 (cut, 5000006 characters)"
    for hostile in ("\x1b[" + "0" * 1_000_000, "\x1b]" * 1_000_000, "\x1b[\x1b]" * 500_000):
        assert len(display_text(hostile, 100_000)) <= 100_000


harmful = st.sampled_from(
    [
        "\x1b",
        "[",
        "]",
        "31m",
        "\x07",
        "\\",
        "\x9b",
        "\x9d",
        "\n",
        "\t",
        "\x00",
        "\u202e",
        "\ufeff",
        "\ud800",
        "a",
    ]
)


@settings(deadline=None)
@given(st.lists(harmful | st.text(max_size=2), max_size=40).map("".join), st.integers(32, 60))
def test_any_text_becomes_one_harmless_line_within_the_limit(text: str, limit: int) -> None:
    shown = display_text(text, limit)
    assert len(shown) <= limit
    shown.encode()
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert not set(shown) & set("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
    assert display_text(shown, limit) == shown
