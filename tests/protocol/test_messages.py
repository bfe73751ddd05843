"""Blocks of messages: the same as line by line, however the lines try to pass for each other."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optio_agents.protocol.events import CallerMessageEvent, LogEvent
from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.limits import JSON_DEPTH_LIMIT, JSON_TEXT_LIMIT
from optio_agents.protocol.messages import LONGEST, CallerMessages
from optio_agents.protocol.parser import parse_log_line
from optio_agents.protocol.payload import read_json, read_json_texts
from optio_agents.protocol.run import Run
from optio_agents.protocol.scanner import Scanner

FEATURES = ProtocolFeatures(caller_messages=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
pieces = st.sampled_from(
    ["[1", "2]", '{"a":', "}", '"', '\\"', ",", "1,2", "", "  ", "NaN", "1e999", "9" * 20, "\\ud800", "é"]
)
texts = json_values.map(json.dumps) | st.lists(pieces, max_size=4).map("".join)
bodies = st.tuples(
    st.sampled_from(["", " ", "\t ", "\x1c"]),
    st.sampled_from(["k", "a:b", ""]),
    st.sampled_from([" ", "  ", "\xa0", ""]),
    texts,
).map("".join)


@settings(deadline=None)
@given(st.lists(bodies, min_size=4, max_size=12))
@example([' k {"a":[1', " k 2]}", " k 1,2", " k 3"])
@example([' k "open', ' k close"', " k 1,2", " k 3"])
@example([" k 1],[2", " k 3", " k 4", " k 5"])
@example([" k 1 ", " k\t2\t", "  k   3", "k 4"])
def test_a_block_says_what_its_lines_say(bodies: list[str]) -> None:
    lines = [f"CALLER_MESSAGE:{body}" for body in bodies if "\n" not in body and "\r" not in body]
    expected = [parse_log_line(line, features=FEATURES) for line in lines]
    found: list[LogEvent] = []
    for record in Scanner(FEATURES).scan("".join(f"{line}\n" for line in lines).encode()):
        if isinstance(record, CallerMessages):
            found += [CallerMessageEvent(*message) for message in record.messages]
        elif isinstance(record, Run):
            found += record.lines()
        else:
            found.append(record)
    assert repr(found) == repr(expected)  # repr tells 1 from 1.0 and True


@given(st.lists(texts, min_size=1, max_size=6))
def test_texts_read_together_are_what_they_are_alone_or_left_to_be_read_alone(texts: list[str]) -> None:
    together = read_json_texts(texts)
    if together is not None:
        assert repr(together) == repr([read_json(text.strip(" \t\r\n")) for text in texts])


@pytest.mark.parametrize(
    "text",
    [
        "[" * (JSON_DEPTH_LIMIT + 1) + "]" * (JSON_DEPTH_LIMIT + 1),
        "1" + " " * JSON_TEXT_LIMIT,
        "9" * 30,
        '"\\ud800"',
    ],
    ids=["deep", "long", "a great integer", "a lone surrogate"],
)
def test_what_is_past_a_limit_is_not_read_in_a_block(text: str) -> None:
    assert read_json_texts(["1", text, "2"]) is None


def test_an_irregular_line_costs_one_block_and_the_others_stay_blocks() -> None:
    lines = [b'CALLER_MESSAGE: k {"number": %d}\n' % number for number in range(LONGEST * 4)]
    lines[5] = b"CALLER_MESSAGE: k oops\n"
    records = Scanner(FEATURES).scan(b"".join(lines))
    blocks = [record for record in records if isinstance(record, CallerMessages)]
    assert [len(block.messages) for block in blocks] == [LONGEST] * 3
    assert len(records) == LONGEST + 3


def test_without_the_keyword_the_lines_are_plain_text() -> None:
    [run] = Scanner(ProtocolFeatures()).scan(b"CALLER_MESSAGE: k 1\n" * 10)
    assert isinstance(run, Run)
    assert run.count == 10
