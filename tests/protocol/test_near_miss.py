import pytest
from hypothesis import given, settings, strategies as st

from optio_agents.protocol.events import UnknownLine
from optio_agents.protocol.features import ALL_FEATURES, DEFAULT_FEATURES, ProtocolFeatures
from optio_agents.protocol.near_miss import near_miss
from optio_agents.protocol.parser import parse_log_line
from tests.support.log_lines import any_features, log_lines


@pytest.mark.parametrize(
    ("line", "keyword"),
    [
        ("done", "DONE"),
        ("Done.", "DONE"),
        ("DONE!", "DONE"),
        ("  DONE", "DONE"),
        ("\ufeffDONE", "DONE"),
        ("**DONE**", "DONE"),
        ("`DONE`", "DONE"),
        ("# DONE", "DONE"),
        ("\x1b[32mDONE\x1b[0m", "DONE"),
        ("DONE \u2705", "DONE"),
        ("DONE all tests pass", "DONE"),
        ("done: all tests pass", "DONE"),
        ("DONE " + "x" * 100_000, "DONE"),
        ("error: no such file", "ERROR"),
        ("ERROR no such file", "ERROR"),
        ("Status: 50% x", "STATUS"),
        ("\tSTATUS: 50% x", "STATUS"),
        ("STATUS\uff1a50% x", "STATUS"),
        ("[STATUS] working", "STATUS"),
        ("- DELIVERABLE: deliverables/a", "DELIVERABLE"),
        ("DELIVERABLE :deliverables/a", "DELIVERABLE"),
        ("DELIVERABLE deliverables/a", "DELIVERABLE"),
        ("DELIVERABLES: a", "DELIVERABLE"),
        ("DELIVERABLE:", "DELIVERABLE"),
        ("ATTENTION", "ATTENTION"),
        ("CLIENT_MESSAGE: key {bad", "CLIENT_MESSAGE"),
        ("client-message: key 1", "CLIENT_MESSAGE"),
        ("Caller message: key 1", "CALLER_MESSAGE"),
        ("browser: https://x", "BROWSER"),
    ],
)
def test_slips_are_found(line: str, keyword: str) -> None:
    hint = near_miss(line, ALL_FEATURES)
    assert hint is not None
    assert hint.keyword == keyword
    assert f"`{keyword}" in hint.text
    assert len(hint.text) < 600
    assert hint.text.isprintable()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "STATUS: done",
        "DONE",
        "DONE: " + "x" * 100_000,
        "done building the module",
        "Doneness is a word",
        "DONEx",
        "status report follows",
        "status",
        "errors were found in 3 modules",
        "error in module x",
        "Attention please",
        "browser tests pass",
        "delivered: two files",
        "FINISHED building",
        "Compiling module 5",
        "x" * 1_000_000,
        " " * 1_000_000 + "done",
    ],
)
def test_plain_text_is_left_alone(line: str) -> None:
    assert near_miss(line, ALL_FEATURES) is None


@pytest.mark.parametrize("line", ["browser: x", "client_message: k 1", "CALLER_MESSAGE: k {bad"])
def test_keywords_that_are_off_are_not_hinted_at(line: str) -> None:
    assert near_miss(line, ALL_FEATURES) is not None
    assert near_miss(line, ProtocolFeatures("suppress")) is None
    assert near_miss(line) is None


@settings(deadline=None)
@given(st.text() | log_lines, any_features)
def test_only_lines_that_mean_nothing_are_near_misses(line: str, features: ProtocolFeatures) -> None:
    hint = near_miss(line, features)
    if hint is not None:
        assert isinstance(parse_log_line(line, features=features), UnknownLine)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("  DONE", "it is indented"),
        ("**DONE**", "`**` is before the keyword"),
        ("done", "`done` is not in capitals"),
        ("STATUS 20% x", "the colon after the keyword is missing"),
        ("DONE all tests pass", "there is more after the keyword"),
        ("DELIVERABLE :x", "something between the keyword and the colon"),
        ("DELIVERABLES: x", "the keyword is spelled DELIVERABLE"),
        ("DELIVERED: deliverables/x", "the keyword is spelled DELIVERABLE"),
        ("STATUS\uff1a50% x", "not the plain ASCII ones"),
        ("DELIVERABLE:", "what follows the colon is not the path of a file"),
        ("ATTENTION", "the colon and the text after the keyword are missing"),
        ("\ufeffDONE", "invisible characters (U+FEFF)"),
        ("\x00\x1b[1mDONE", "invisible characters (U+0000, U+001B)"),
    ],
)
def test_the_hint_says_which_rule_is_broken(line: str, fault: str) -> None:
    hint = near_miss(line, ALL_FEATURES)
    assert hint is not None
    assert fault in hint.text


def test_the_hint_shows_the_line_and_how_to_write_it() -> None:
    hint = near_miss("**done\x1b[31m**", DEFAULT_FEATURES)
    assert hint is not None
    assert hint.text.startswith("the line `**done**` was taken as plain text: ")
    assert "write `DONE` or `DONE: <summary>`" in hint.text
