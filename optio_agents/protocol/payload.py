"""JSON from an agent: read within limits, or refused.

The decoder of the standard library raises `RecursionError` on deep nesting, accepts NaN and infinities
(which are not JSON), reads integers that no database stores, and hands out lone surrogates that no encoder
takes. Each of these would surface far away from the line that caused it, so they are refused here.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from typing import NoReturn

from .limits import JSON_DEPTH_LIMIT, JSON_INTEGER_MAX, JSON_INTEGER_MIN, JSON_TEXT_LIMIT

_INTEGER_DIGITS = 19
_NEVER_SEEN = secrets.token_hex(16)
_SEPARATOR = f',"{_NEVER_SEEN}",'
_STRUCTURE = re.compile(r'["\[\]{}]')
_STRING_END = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"')


def read_json(text: str) -> object:
    """Decode one JSON value that fills `text`; no white space stands around it.

    Raises:
        ValueError: not JSON, or past one of the limits: size, depth, integers beyond 64 bits, numbers
            beyond a double, lone surrogates, NaN and infinities.
    """
    if len(text) > JSON_TEXT_LIMIT:
        raise ValueError(f"more than {JSON_TEXT_LIMIT} characters of JSON")
    if _brackets(text) > JSON_DEPTH_LIMIT and _depth(text) > JSON_DEPTH_LIMIT:
        raise ValueError(f"JSON nested more than {JSON_DEPTH_LIMIT} deep")
    value: object
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("more than one JSON value")
    if "\\u" in text or not text.isascii():
        json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError, which is a ValueError
    return value


def read_json_texts(texts: list[str]) -> list[object] | None:
    """Decode many short texts in one go, a third faster than one by one.

    They are put into one array, with a string between each two that no text can hold because nobody has ever seen
    it. If these strings stand where they were put, every second element of the array is the value of one text.

    Returns:
        Their values, the same as `read_json` gives; `None` if at least one of them is refused by it, or needs a
        closer look: then they have to be read one by one.
    """
    joined = f"[{_SEPARATOR.join(texts)}]"
    if "\\u" in joined or not joined.isascii():
        return None
    if max(map(len, texts)) > JSON_TEXT_LIMIT or max(map(_brackets, texts)) > JSON_DEPTH_LIMIT:
        return None
    try:
        values: object
        values, end = _DECODER.raw_decode(joined)
    except ValueError:
        return None
    if (
        end != len(joined)
        or not isinstance(values, list)
        or len(values) != 2 * len(texts) - 1
        or values[1::2].count(_NEVER_SEEN) != len(texts) - 1
    ):
        return None
    return values[::2]


def _brackets(text: str) -> int:
    """How many brackets are opened: an upper bound of the depth."""
    return text.count("[") + text.count("{")


def _depth(text: str) -> int:
    """The deepest nesting, brackets inside strings not counted; one pass."""
    depth = deepest = position = 0
    while (found := _STRUCTURE.search(text, position)) is not None:
        position = found.end()
        match found.group():
            case '"':
                if (end := _STRING_END.match(text, position)) is None:
                    return deepest  # an unterminated string: the decoder will refuse it
                position = end.end()
            case "[" | "{":
                depth += 1
                deepest = max(deepest, depth)
            case _:
                depth -= 1
    return deepest


def _integer(text: str) -> int:
    if len(text) < _INTEGER_DIGITS:
        return int(text)
    if len(text) > _INTEGER_DIGITS + text.startswith("-"):
        raise ValueError("an integer of more than 64 bits")
    value = int(text)
    if not JSON_INTEGER_MIN <= value <= JSON_INTEGER_MAX:
        raise ValueError("an integer of more than 64 bits")
    return value


def _real(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number beyond what a double holds")
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real, parse_constant=_constant)
