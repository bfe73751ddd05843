"""docs/limits.md says what the code does."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

TABLE = (Path(__file__).parent.parent / "docs" / "limits.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]* ?\| `([\w.]+)` \|$", TABLE, re.MULTILINE)
UNITS = {"KiB": 1024, "MiB": 1024 * 1024}


def documented(text: str) -> float:
    number, _, unit = text.partition(" ")
    return float(number.replace(",", "")) * UNITS.get(unit, 1)


def in_code(name: str) -> object:
    """The constant `module.NAME`, or the default `module.Class.option`."""
    parts = name.split(".")
    size = next(
        n for n in range(len(parts), 0, -1) if not parts[n - 1][:1].isupper() and _is_module(parts[:n])
    )
    value: object = import_module("optio_agents." + ".".join(parts[:size]))
    if len(parts) - size == 2:
        value = getattr(value, parts[size])()
    return getattr(value, parts[-1])


def _is_module(parts: list[str]) -> bool:
    try:
        import_module("optio_agents." + ".".join(parts))
    except ModuleNotFoundError:
        return False
    return True


def test_every_row_is_read() -> None:
    assert len(ROWS) == TABLE.count("\n| ") - TABLE.count("\n| what |") > 30


@pytest.mark.parametrize(("what", "limit", "name"), ROWS, ids=[row[2] for row in ROWS])
def test_a_documented_limit_is_the_one_in_the_code(what: str, limit: str, name: str) -> None:
    assert documented(limit) == in_code(name), what
