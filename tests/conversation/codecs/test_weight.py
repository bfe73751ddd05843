"""What decoded JSON weighs, against what it really takes."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from optio_agents.conversation.codecs.weight import weight_of


@pytest.mark.parametrize(
    "value",
    [
        {"type": "x", "a": [{}] * 50_000},
        {"a": [[]] * 50_000},
        {"a": list(range(1000, 51_000))},
        {"text": "z" * 1_000_000},
        {f"key{number}": {"n": number} for number in range(20_000)},
        {"words": ["word"] * 50_000},
    ],
    ids=["objects", "lists", "numbers", "one text", "members", "texts"],
)
def test_it_is_not_far_below_what_the_values_take(value: dict[str, Any]) -> None:
    text = json.dumps(value, separators=(",", ":"))
    tracemalloc.start()
    decoded = json.loads(text)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoded
    assert taken / 2.5 <= weight_of(text) <= taken * 6
    assert weight_of(text.encode()) == weight_of(text)
