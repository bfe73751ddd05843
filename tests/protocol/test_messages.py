"""Blocks of messages: the same as line by line, however the lines try to pass for each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings, strategies as st

from optio_agents.protocol import messages, payload
from optio_agents.protocol.events import CallerMessageEvent, LogEvent
from optio_agents.protocol.features import ProtocolFeatures
from optio_agents.protocol.limits import JSON_DEPTH_LIMIT, JSON_INTEGER_MAX, JSON_INTEGER_MIN, JSON_TEXT_LIMIT
from optio_agents.protocol.line_run import LineRun
from optio_agents.protocol.messages import LARGEST, LONGEST, CallerMessages
from optio_agents.protocol.parser import parse_log_line
from optio_agents.protocol.payload import check_json_lines, read_json, read_json_lines
from optio_agents.protocol.scanner import Scanner

FEATURES = ProtocolFeatures(caller_messages=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
pieces = st.sampled_from(
    [
        "[1",
        "2]",
        "1 2",
        " 3",
        "\x0c",
        "\xa0",
        "\u2028",
        "1e+999",
        '{"a":',
        "}",
        '"',
        '\\"',
        ",",
        "1,2",
        "",
        "  ",
        "NaN",
        "1e999",
        "9" * 20,
        "\\ud800",
        "é",
    ]
)
texts = json_values.map(json.dumps) | st.lists(pieces, max_size=4).map("".join)
bodies = st.tuples(
    st.sampled_from([" ", " ", " ", "", "\t ", "\x1c"]),
    st.sampled_from(["k", "k", "k", "a:b", "", "k\xa0", "\xe9"]),
    st.sampled_from([" ", " ", " ", "  ", "\xa0", " \x1c", ""]),
    texts,
).map("".join)


@contextmanager
def without(package: str) -> Iterator[None]:
    """As if a package were not installed that makes reading faster."""
    with pytest.MonkeyPatch.context() as patch:
        if package == "msgspec":
            patch.setattr(payload, "_FAST", None)
        if package == "stringzilla":
            patch.setattr(payload, "find", bytes.find)
            patch.setattr(payload, "translate", bytes.translate)
            patch.setattr(messages, "count", bytes.count)
        yield


@pytest.mark.parametrize("missing", ["", "msgspec", "stringzilla"])
@settings(deadline=None)
@given(bodies=st.lists(bodies, min_size=1, max_size=12))
@example(bodies=[' k {"a":[1', " k 2]}", " k 1,2", " k 3"])
@example(bodies=[' k "open', ' k close"', " k 1,2", " k 3"])
@example(bodies=[" k 1 2", " k [1,", " k 2]"])
@example(bodies=[" k 1],[2", " k 3", " k 4", " k 5"])
@example(bodies=[" k 1 ", " k\t2\t", "  k   3", "k 4"])
@example(bodies=[" k 1", " k  2", " k   3 ", " k 4"])
@example(bodies=[" k 1", " j 2", " k 3 CALLER_MESSAGE: j 4", " k"])
@example(bodies=[' k\xa0{"a": 1}', ' k\xa0{"a": 2}'])
@example(bodies=[' k {"a": "CALLER_MESSAGE: k 1"}', " k 2"])
@example(bodies=[" k 1", ' k {"a":"\\ud800","a":1,"b":1234567890123456789}', " k 2"])
def test_a_block_says_what_its_lines_say(bodies: list[str], missing: str) -> None:
    lines = [f"CALLER_MESSAGE:{body}" for body in bodies if "\n" not in body and "\r" not in body]
    expected = [parse_log_line(line, features=FEATURES) for line in lines]
    found: list[LogEvent] = []
    with without(missing):
        for record in Scanner(FEATURES).scan("".join(f"{line}\n" for line in lines).encode()):
            if isinstance(record, CallerMessages):
                assert len(record.messages) == record.count
                found += [CallerMessageEvent(*message) for message in record.messages]
            elif isinstance(record, LineRun):
                found += record.lines()
            else:
                found.append(record)
    assert repr(found) == repr(expected)  # repr tells 1 from 1.0 and True


digits = st.text("0123456789", min_size=1, max_size=25)
numbers = st.tuples(
    st.sampled_from(["", "-"]),
    digits,
    st.just("") | digits.map(".{}".format),
    st.just("")
    | st.tuples(st.sampled_from(["e", "E", "e+", "E-"]), digits.map(lambda each: each[:4])).map("".join),
).map("".join)
limits = [str(limit + step) for limit in (JSON_INTEGER_MIN, JSON_INTEGER_MAX) for step in (-1, 0, 1)]
extremes = ["1.7976931348623158e308", "1.7976931348623159e308", "1e309", "5e-324", "-0", "-0.0", "9" * 400]
great = st.sampled_from([*limits, *extremes])
deep = st.integers(JSON_DEPTH_LIMIT - 2, JSON_DEPTH_LIMIT + 2).flatmap(
    lambda depth: st.sampled_from(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
)
strings = st.lists(
    st.sampled_from(
        [
            "\\ud83d\\ude00",
            "\\ud83d",
            "\\ude00",
            "\\n",
            "\\x",
            "\t",
            "\x00",
            "\x7f",
            "\u2028",
            "[{",
            "\\",
            '"',
        ]
    )
    | st.text(max_size=2).filter(str.isprintable),
    max_size=4,
).map(lambda each: f'"{"".join(each)}"')
twice = st.tuples(strings, numbers, strings, numbers).map("{{{0[0]}:{0[1]},{0[2]}:{0[3]},{0[0]}:0}}".format)

# The last value of a key counts: what is wrong with an earlier one is nothing to the standard library.
hiding = st.tuples(strings, numbers | great).map('{{"a":{0[0]},"a":1,"b":{0[1]}}}'.format)
HIDING = '{"a":"\\ud800","a":1,"b":1234567890123456789}'


@settings(deadline=None, max_examples=500)
@given(st.lists(texts | numbers | great | deep | strings | twice | hiding, min_size=1, max_size=3))
@example([HIDING])
def test_lines_are_read_as_each_is_alone_or_not_at_all(lines: list[str]) -> None:
    expected = []
    for line in lines:
        try:
            expected.append(read_json(line.strip(" \t\r")))
        except ValueError:
            assert not check_json_lines(lines)
            return
    may_refuse = any(line != line.strip(" \t\r") or "\\ud" in line for line in lines)
    if may_refuse and not check_json_lines(lines):
        return
    assert check_json_lines(lines)
    assert repr(read_json_lines("\n".join(lines))) == repr(expected)


@settings(deadline=None)
@given(st.floats(-1e300, 1e300), st.integers(1, 30))
def test_floats_are_rounded_as_by_the_standard_library(value: float, more: int) -> None:
    lines = [repr(value), f"{value:.{more}e}", f"{value:.{more}f}"]
    assert check_json_lines(lines)
    assert repr(read_json_lines("\n".join(lines))) == repr([float(line) for line in lines])


@pytest.mark.parametrize("missing", ["", "msgspec", "stringzilla"])
@pytest.mark.parametrize(
    "line",
    [
        "[" * (JSON_DEPTH_LIMIT + 1) + "]" * (JSON_DEPTH_LIMIT + 1),
        "1" + " " * JSON_TEXT_LIMIT,
        "9" * 30,
        "1e400",
        "1E+400",
        "1" * 400 + ".0",
        '"\\ud800"',
        '"\ud800"',
        "NaN",
        "",
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_is_past_a_limit_is_not_taken(line: str, missing: str) -> None:
    with without(missing):
        assert not check_json_lines(["1", line, "2"])


def test_an_irregular_line_costs_one_block_and_the_others_stay_blocks() -> None:
    lines = [b'CALLER_MESSAGE: k {"number": %d}\n' % number for number in range(LONGEST * 4)]
    lines[5] = b"CALLER_MESSAGE: k oops\n"
    records = Scanner(FEATURES).scan(b"".join(lines))
    blocks = [record for record in records if isinstance(record, CallerMessages)]
    assert [block.count for block in blocks] == [LONGEST] * 3
    assert len(records) == LONGEST + 3


def test_a_block_may_have_several_keywords() -> None:
    lines = b"CALLER_MESSAGE: a 1\n" * 2 + b"CALLER_MESSAGE:b\t2\n"
    assert Scanner(FEATURES).scan(lines) == [CallerMessages(["a", "a", "b"], "1\n1\n2")]


@pytest.mark.parametrize("missing", ["", "msgspec"])
@pytest.mark.parametrize(
    "text", ['"' + "é" * 30_000 + '"', "[" + "1e5," * 16_000 + "1]"], ids=["escapes", "floats"]
)
def test_a_single_message_may_be_longer_when_it_is_written_anew(text: str, missing: str) -> None:
    data = read_json(text)
    with without(missing):
        assert CallerMessages.of_one("k", data).messages == [("k", data)]


def test_large_messages_make_blocks_of_few_lines() -> None:
    line = b'CALLER_MESSAGE: k "%b"\n' % (b"x" * (LARGEST // 5))
    records = Scanner(FEATURES).scan(line * 10 + b'CALLER_MESSAGE: k "%b"\n' % (b"x" * LARGEST))
    assert [record.count for record in records[:-1] if isinstance(record, CallerMessages)] == [4, 4, 2]
    assert isinstance(records[-1], CallerMessageEvent)


def test_without_the_keyword_the_lines_are_plain_text() -> None:
    [run] = Scanner(ProtocolFeatures()).scan(b"CALLER_MESSAGE: k 1\n" * 10)
    assert isinstance(run, LineRun)
    assert run.count == 10
