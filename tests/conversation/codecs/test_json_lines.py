"""JSON objects from any bytes."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from optio_agents.conversation.codecs.json_lines import HEAD_LIMIT, UNPARSEABLE, JsonLines

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def feed_in_pieces(lines: JsonLines, data: bytes, cuts: list[int]) -> list[dict[str, Any]]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    records = []
    for start, end in itertools.pairwise(places):
        records += lines.feed(data[start:end])
    return records + lines.finish()


@given(
    st.lists(st.dictionaries(st.text(), json_values), max_size=6),
    st.lists(st.integers(0, 400)),
    st.booleans(),
)
def test_objects_come_out_as_they_went_in_wherever_the_reads_were_cut(
    objects: list[dict[str, Any]], cuts: list[int], ascii_only: bool
) -> None:
    data = b"".join(
        json.dumps(each, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n" for each in objects
    )
    assert feed_in_pieces(JsonLines(), data, cuts) == objects


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_any_bytes_at_all_give_the_same_objects_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = JsonLines()
    assert feed_in_pieces(JsonLines(), data, cuts) == whole.feed(data) + whole.finish()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"Usage: agent [options]", "Expecting value"),
        (b"[1, 2]", "a JSON list, not an object"),
        (b'"text"', "a JSON str, not an object"),
        (b"null", "a JSON NoneType, not an object"),
        (b'{"a": ', "Expecting value"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"n": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b"\x80\x81\xff", "Expecting value"),
    ],
)
def test_what_is_no_object_becomes_an_event_and_the_stream_goes_on(line: bytes, reason: str) -> None:
    first, second = JsonLines().feed(line + b'\n{"type":"x"}\n')
    assert first["type"] == UNPARSEABLE
    assert reason in first["reason"]
    assert len(first["line"]) <= HEAD_LIMIT
    assert second == {"type": "x"}


def test_a_broken_character_inside_an_object_costs_only_that_character() -> None:
    (record,) = JsonLines().feed(b'{"a": "x\xe2\x82y"}\n')
    assert record == {"a": "x�y"}


def test_a_line_past_the_limit_is_reported_and_kept_out_of_memory() -> None:
    lines = JsonLines(limit=1000)
    for _ in range(50):
        assert lines.feed(b"x" * 1000) == []
        assert sum(map(len, lines._parts)) <= 3000
    first, second = lines.feed(b'\n{"type":"x"}\n')
    assert first["reason"] == "a line of 50000 bytes, the limit is 1000"
    assert second == {"type": "x"}
    (again,) = lines.feed(b"y" * 2000 + b"\n")
    assert again["reason"] == "a line of 2000 bytes, the limit is 1000"
