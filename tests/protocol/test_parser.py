import re

import pytest
from hypothesis import example, given, settings, strategies as st

from optio_agents.protocol.events import (
    AttentionEvent,
    BrowserEvent,
    CallerMessageEvent,
    ClientMessageEvent,
    DeliverableEvent,
    DoneEvent,
    ErrorEvent,
    LogEvent,
    StatusEvent,
    UnknownLine,
)
from optio_agents.protocol.features import ALL_FEATURES, DEFAULT_FEATURES, ProtocolFeatures
from optio_agents.protocol.keywords import KEYWORDS
from optio_agents.protocol.parser import parse_log_line
from tests.support.log_lines import any_features, log_lines


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("STATUS:50% x", StatusEvent(50, "x")),
        ("STATUS: 050% x", StatusEvent(50, "x")),
        ("STATUS:\t7%\tx", StatusEvent(7, "x")),
        ("STATUS: 101% x", StatusEvent(100, "x")),
        ("STATUS: 999% x", StatusEvent(100, "x")),
        ("STATUS: 0% x", StatusEvent(0, "x")),
        ("STATUS:\u00a05%\u2003x  y \t\r\n", StatusEvent(5, "x  y")),
        ("STATUS: 50%", StatusEvent(None, "50%")),
        ("STATUS: 50%  ", StatusEvent(None, "50%")),
        ("STATUS: 50%x", StatusEvent(None, "50%x")),
        ("STATUS: 50 % x", StatusEvent(None, "50 % x")),
        ("STATUS: 1000% x", StatusEvent(None, "1000% x")),
        ("STATUS: -5% x", StatusEvent(None, "-5% x")),
        ("STATUS: % x", StatusEvent(None, "% x")),
        ("STATUS: \u0663% x", StatusEvent(None, "\u0663% x")),
        ("STATUS: \u00b2% x", StatusEvent(None, "\u00b2% x")),
        ("STATUS:", StatusEvent(None, "")),
        ("DELIVERABLE: a b ", DeliverableEvent("a b")),
        ("DELIVERABLE:deliverables/a.txt", DeliverableEvent("deliverables/a.txt")),
        ("DONE", DoneEvent(None)),
        ("DONE \t", DoneEvent(None)),
        ("DONE:", DoneEvent(None)),
        ("DONE:x", DoneEvent("x")),
        ("DONE: STATUS: x", DoneEvent("STATUS: x")),
        ("ERROR", ErrorEvent(None)),
        ("ERROR:", ErrorEvent(None)),
        ("ERROR: why", ErrorEvent("why")),
        ('BROWSER: "https://x"', BrowserEvent("https://x")),
        ("BROWSER:https://x", BrowserEvent("https://x")),
        ("ATTENTION: come", AttentionEvent("come")),
        ('CLIENT_MESSAGE: key {"a":1}', ClientMessageEvent("key", {"a": 1})),
        ("CLIENT_MESSAGE:key  5", ClientMessageEvent("key", 5)),
        ("CALLER_MESSAGE: k null", CallerMessageEvent("k", None)),
        ('CALLER_MESSAGE: k:v "x: y"', CallerMessageEvent("k:v", "x: y")),
    ],
)
def test_the_grammar(line: str, event: LogEvent) -> None:
    assert parse_log_line(line, features=ALL_FEATURES) == event


@pytest.mark.parametrize(
    "line",
    [
        "",
        "DELIVERABLE",
        "DELIVERABLE:",
        "DELIVERABLE: \t ",
        "ATTENTION:",
        "DONE x",
        "DONEx",
        "DONE :x",
        "done",
        " DONE",
        "\ufeffDONE",
        "ERROR x",
        "STATUS",
        " STATUS: x",
        "BROWSER:",
        'BROWSER: ""',
        "CLIENT_MESSAGE:",
        "CLIENT_MESSAGE: key",
        "CLIENT_MESSAGE: key {bad",
        "CLIENT_MESSAGE: key 1 2",
        'CLIENT_MESSAGE: {"a":1}',
        "CALLER_MESSAGE: k {} x",
        "DONE\nSTATUS: more",
        "STATUS: a\nDONE",
    ],
)
def test_what_fits_no_keyword_is_unknown(line: str) -> None:
    assert parse_log_line(line, features=ALL_FEATURES) == UnknownLine(line.rstrip())


@pytest.mark.parametrize(
    ("line", "features"),
    [
        ("BROWSER: https://x", ProtocolFeatures("suppress", client_messages=True, caller_messages=True)),
        ("CLIENT_MESSAGE: k 1", ProtocolFeatures("redirect", caller_messages=True)),
        ("CALLER_MESSAGE: k 1", ProtocolFeatures("redirect", client_messages=True)),
    ],
)
def test_a_keyword_that_is_off_is_plain_text(line: str, features: ProtocolFeatures) -> None:
    assert parse_log_line(line, features=features) == UnknownLine(line)
    assert parse_log_line(line, features=ALL_FEATURES) != UnknownLine(line)
    assert parse_log_line(line) == UnknownLine(line)


@settings(deadline=None)
@given(st.text() | log_lines, any_features)
@example("CALLER_MESSAGE: k " + "[" * 200_000, ALL_FEATURES)
@example('CALLER_MESSAGE: k {"a": 1e9999}', ALL_FEATURES)
@example("CALLER_MESSAGE: k " + "9" * 10_000, ALL_FEATURES)
@example('CALLER_MESSAGE: k "\\ud800"', ALL_FEATURES)
@example("STATUS: \ud800", ALL_FEATURES)
@example("STATUS: " + "9" * 10_000 + "% x", ALL_FEATURES)
def test_every_text_is_exactly_one_event(text: str, features: ProtocolFeatures) -> None:
    assert isinstance(parse_log_line(text, features=features), LogEvent)


@settings(deadline=None)
@given(log_lines, any_features)
def test_an_event_comes_only_from_a_line_that_begins_with_its_keyword(
    line: str, features: ProtocolFeatures
) -> None:
    event = parse_log_line(line, features=features)
    if isinstance(event, UnknownLine):
        assert event.text == line.rstrip()
    else:
        [keyword] = [row for row in KEYWORDS if re.match(rf"{row.name}(:|\s*$)", line)]
        assert type(event) is type(keyword.examples[0].event)
        assert keyword.enabled(features)


@settings(deadline=None)
@given(log_lines)
def test_trailing_white_space_does_not_count(line: str) -> None:
    assert parse_log_line(line + " \t\r\n") == parse_log_line(line)


@pytest.mark.parametrize(
    "keyword", ["DELIVERABLE:", "ATTENTION:", "STATUS:", "DONE:", "CALLER_MESSAGE: k", "x"]
)
def test_no_line_takes_more_than_linear_time(keyword: str) -> None:
    """What a quadratic pattern would need minutes for: a megabyte of white space inside, nothing at the
    end."""
    spaces = " " * 1_000_000
    for line in (keyword + spaces + "x", keyword + spaces, spaces + keyword, keyword + (spaces + "x") * 2):
        parse_log_line(line, features=ALL_FEATURES)


def test_defaults_are_the_plain_log_channel() -> None:
    assert (
        ProtocolFeatures(browser="ignore", client_messages=False, caller_messages=False) == DEFAULT_FEATURES
    )
