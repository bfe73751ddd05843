"""Erlang/OTP, if `erl` and `erlc` are there (Debian: erlang-base). A virtual machine of its own for each measure."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache, partial
from pathlib import Path

from benchmarks.actors.clock import Lap
from benchmarks.actors.rows import ROWS, Measure


@cache
def _compiled() -> str:
    folder = tempfile.mkdtemp(prefix="bench-erlang-")
    subprocess.run(["erlc", "-o", folder, str(Path(__file__).with_name("bench.erl"))], check=True)
    return folder


def number(row: str, n: int) -> float:
    """Run one row of bench.erl and return the number that it prints."""
    command = ["erl", "-noshell", "-pa", _compiled(), "-s", "bench", "main", row, str(n)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return float(run.stdout)


def there() -> bool:
    """Whether Erlang is installed."""
    return shutil.which("erl") is not None and shutil.which("erlc") is not None


def _lap(row: str, n: int) -> Lap:
    return Lap(number(row, n), None)


MEASURES: dict[str, Measure] = {row.key: partial(_lap, row.key) for row in ROWS}
