"""How raw events are read: fields that may have any shape, and tables of decoders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.views.values import View

Record = dict[str, Any]


class Decoder(NamedTuple):
    """How the events of one kind are decoded, and which views they can give."""

    gives: tuple[type, ...]
    decode: Callable[[Record, Record], Iterable[View]]
    """Called with the event and the part of it that is of this kind (the event itself, or one block of a message)."""


class BackendViews(NamedTuple):
    """The views of one backend's events."""

    name: str
    parts: Callable[[Record], Sequence[tuple[str, Record]]]
    """The parts of an event, each with its kind; a kind is its path of type names."""
    decoders: Mapping[str, Decoder]
    ignored: Mapping[str, str]
    """The kinds that are known and give no view, with the reason."""


def views_in(table: BackendViews, raw: Record) -> tuple[View, ...]:
    """The views of one event of a backend."""
    decoders = table.decoders
    parts = table.parts(raw)
    if len(parts) == 1:
        kind, part = parts[0]
        decoder = decoders.get(kind)
        return () if decoder is None else tuple(decoder.decode(raw, part))
    found: list[View] = []
    for kind, part in parts:
        decoder = decoders.get(kind)
        if decoder is not None:
            found += decoder.decode(raw, part)
    return tuple(found)


def record_of(value: object) -> Record:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def name_of(value: object) -> str | None:
    """`value` if it is a text that is not empty."""
    return value if isinstance(value, str) and value else None


def count_of(value: object) -> int | None:
    """`value` if it is a whole number of at least 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def number_of(value: object) -> float | None:
    """`value` if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def total(*counts: int | None) -> int | None:
    """The sum of the known counts; `None` if the first one is unknown."""
    return None if counts[0] is None else sum(count or 0 for count in counts)


def texts_in(content: object) -> str:
    """The text of a content (a text or a list of blocks), one block per line."""
    if isinstance(content, str):
        return content
    return "\n".join(text for block in dicts_of(content) if (text := text_of(block.get("text"))))
