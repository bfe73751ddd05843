import json
import math

import pytest
from hypothesis import given, settings, strategies as st

from optio_agents.protocol.limits import JSON_DEPTH_LIMIT, JSON_INTEGER_MAX, JSON_INTEGER_MIN, JSON_TEXT_LIMIT
from optio_agents.protocol.payload import read_json


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{bad",
        "1 2",
        "NaN",
        "-Infinity",
        '{"a": Infinity}',
        '{"a": 1e9999}',
        "-1e309",
        "9" * 400 + ".5",
        str(JSON_INTEGER_MAX + 1),
        str(JSON_INTEGER_MIN - 1),
        "9" * 10_000,
        "[" * 200_000,
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 100 + "1" + "}" * 100,
        '"\\ud800"',
        '{"\\udfff": 1}',
        '"\ud800"',
        '"' + "x" * JSON_TEXT_LIMIT + '"',
        '"unterminated',
        '"a\nb"',
        "\ufeff1",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)


def test_limits_are_inclusive() -> None:
    assert read_json(str(JSON_INTEGER_MAX)) == JSON_INTEGER_MAX
    assert read_json(f"[{JSON_INTEGER_MIN}]") == [JSON_INTEGER_MIN]
    deepest = "[" * JSON_DEPTH_LIMIT + "]" * JSON_DEPTH_LIMIT
    assert json.dumps(read_json(deepest)) == deepest
    with pytest.raises(ValueError, match="deep"):
        read_json(f"[{deepest}]")


def test_brackets_inside_strings_and_beside_each_other_are_not_depth() -> None:
    in_a_string = json.dumps(["[{" * 500, '\\"[' * 100])
    assert read_json(in_a_string) == ["[{" * 500, '\\"[' * 100]
    assert read_json("[" + ",".join(["[]"] * 1000) + "]") == [[]] * 1000


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read_json('"\\ud83d\\ude00"') == "\U0001f600"


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(JSON_INTEGER_MIN, JSON_INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(_values, st.booleans())
def test_everything_within_the_limits_is_read_as_it_was_written(value: object, ascii_only: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=ascii_only)) == value


@settings(deadline=None)
@given(st.text(st.sampled_from('[]{}",:\\ud8019.eE-+NaInfity \n')))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = read_json(text)
    except ValueError:
        return
    assert not isinstance(value, float) or math.isfinite(value)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
