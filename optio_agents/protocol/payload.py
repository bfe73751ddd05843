"""JSON from an agent: read within limits, or refused.

The decoder of the standard library raises `RecursionError` on deep nesting, accepts NaN and infinities (which
are not JSON), reads integers that no database stores, and returns lone surrogates that no encoder accepts. Each
of these would fail far from the line that caused it, so they are refused here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from optio_agents.protocol.byte_strings import find, translate
from optio_agents.protocol.limits import JSON_DEPTH_LIMIT, JSON_INTEGER_MAX, JSON_INTEGER_MIN, JSON_TEXT_LIMIT

_FAST: msgspec.json.Decoder[Any] | None = None
_SKIM: msgspec.json.Decoder[msgspec.Raw] | None = None
"""Builds no values and takes half the time. It does not detect numbers beyond the range of a double."""
try:
    import msgspec
except ImportError:
    pass
else:
    _FAST = msgspec.json.Decoder()
    _SKIM = msgspec.json.Decoder(msgspec.Raw)

_INTEGER_DIGITS = 19
_STRUCTURE = re.compile(r'["\[\]{}]')
_STRING_END = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"')

# Patterns of what might exceed a limit, in bytes that were translated for the search.
_TO_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_NUMBER = b"0" * _INTEGER_DIGITS
_GREAT_EXPONENTS = b"e000", b"e+000"
_TO_OPENERS = bytes.maketrans(b"{", b"[")
_NO_OPENERS = bytes(set(range(256)) - set(b"[{\n"))
_MANY_OPENERS = b"[" * (JSON_DEPTH_LIMIT + 1)


def read_json(text: str) -> object:
    """Decode one JSON value that fills `text`, without white space around it.

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


def check_json_lines(lines: list[str]) -> bool:
    """Whether `read_json` accepts each of `lines`, ignoring JSON white space around it."""
    try:
        check = _checker(lines)
        for line in lines:
            check(line)
    except ValueError:  # since msgspec 0.21, its errors are ValueErrors as well
        return False
    return True


def read_json_lines(text: str) -> list[object]:
    """The value of each line of `text`. `read_json` or `check_json_lines` has accepted every line before."""
    if _FAST is None:
        return [_DECODER.raw_decode(line)[0] for line in text.split("\n")]
    return _FAST.decode_lines(text)


def _checker(lines: list[str]) -> Callable[[str], object]:
    """The fastest function that raises ValueError for exactly those of `lines` that `read_json` refuses.

    Within our limits, msgspec accepts what the standard library accepts, five times as fast. It does not know the
    limits. One search over all lines finds what might exceed a limit. A false alarm only means that `read_json`
    decides; nothing that exceeds a limit is missed.
    """
    if _FAST is None or _SKIM is None:
        return read_json
    text = "\n".join(lines)
    raw = text.encode()
    numbers = translate(raw, _TO_ZEROS)
    if (
        find(numbers, _LONG_NUMBER) >= 0
        or _MANY_OPENERS in raw.translate(_TO_OPENERS, _NO_OPENERS)
        or len(text) > JSON_TEXT_LIMIT
    ):
        return _doubly
    might_overflow = any(find(numbers, exponent) >= 0 for exponent in _GREAT_EXPONENTS)
    return _FAST.decode if might_overflow else _SKIM.decode


def _doubly(line: str) -> None:
    """Accept only what both accept: `read_json` does not see a surrogate that a later value of the same key hides."""
    assert _FAST is not None
    read_json(line)
    _FAST.decode(line)


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
                    return deepest  # an unterminated string, which the decoder refuses
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
        raise ValueError("a number beyond the range of a double")
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real, parse_constant=_constant)
