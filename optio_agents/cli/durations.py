"""Durations as people write them: `90`, `90s`, `10m`, `1h30m`."""

from __future__ import annotations

import argparse
import math
import re

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])", re.ASCII)
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+", re.ASCII)


def duration(text: str) -> float:
    """The seconds that `text` means; a number without a unit is seconds.

    Raises:
        argparse.ArgumentTypeError: it is no duration, or not more than 0.
    """
    if _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    else:
        try:
            seconds = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"not a duration: {text!r} (write for example 90, 90s, 10m or 1h30m)"
            ) from None
    if not (seconds > 0 and math.isfinite(seconds)):
        raise argparse.ArgumentTypeError(f"must be more than 0 seconds: {text}")
    return seconds


def duration_text(seconds: float) -> str:
    """`seconds` for a message: `90 seconds`, `10 minutes`, `1 hour`."""
    for unit, size in (("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}{'' if seconds == size else 's'}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


def clock(seconds: float) -> str:
    """`seconds` as `0:07`, `12:34` or `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
