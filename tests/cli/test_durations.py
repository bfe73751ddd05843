"""Durations as people write them."""

from __future__ import annotations

import argparse

import pytest

from optio_agents.cli.durations import duration, duration_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172_800),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "x", "10 m", "m", "-5", "0", "0s", "inf", "nan", "1h-5m", "1w", "\u0661s"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (2.5, "2.5 seconds"), (90, "90 seconds"), (600, "10 minutes"), (3600, "1 hour")],
)
def test_a_duration_is_shown_as_it_would_be_written(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
