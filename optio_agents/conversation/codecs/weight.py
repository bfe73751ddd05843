"""How much memory decoded JSON takes, estimated from its text without decoding it."""

from __future__ import annotations

PER_VALUE = 64
"""Bytes for each object, list, member and element: what CPython needs for its object and its place."""

_STRUCTURE = b"{[,:"


def weight_of(text: str | bytes) -> int:
    """The bytes that the values in `text` take, about.

    A line of empty objects takes 24 times its length, a line of one string its length. The characters that make
    structure are counted wherever they stand, so text with many commas is overestimated.
    """
    data = text if isinstance(text, bytes) else text.encode(errors="replace")
    return len(data) + PER_VALUE * (len(data) - len(data.translate(None, _STRUCTURE)))
