"""Bytes into JSON objects, one per line. Sans-IO.

Lines are cut before they are decoded, so that a read which ends in the middle of a character harms nobody.
Whatever is not a JSON object becomes an `x-optio-unparseable` event and the stream goes on (a program may
print a warning among its events); memory is bounded by `LINE_LIMIT`, whatever arrives.
"""

from __future__ import annotations

import json
from typing import Any

LINE_LIMIT = 32 * 1024 * 1024
"""The longest line that is kept, in bytes. Tool results travel in one line each; the longest seen are a few MB."""

HEAD_LIMIT = 500
"""How many characters of an unparseable line its event shows."""

UNPARSEABLE = "x-optio-unparseable"


def unparseable(reason: str, line: bytes) -> dict[str, Any]:
    """The event that stands for a line which is no JSON object."""
    head = line[: HEAD_LIMIT * 4].decode(errors="replace")[:HEAD_LIMIT]
    return {"type": UNPARSEABLE, "reason": reason, "line": head}


def decode_line(line: bytes) -> dict[str, Any]:
    """One line's JSON object, or the event that says why it is none."""
    try:
        try:
            value = json.loads(line)
        except UnicodeDecodeError:
            value = json.loads(line.decode(errors="replace"))
    except RecursionError:
        return unparseable("nested too deeply", line)
    except ValueError as error:
        return unparseable(str(error), line)
    if isinstance(value, dict):
        return value
    return unparseable(f"a JSON {type(value).__name__}, not an object", line)


class JsonLines:
    """The framer: feed it what was read, take the objects of all lines that are complete."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._skipping = False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that `data` completes, in order. Blank lines vanish."""
        *complete, rest = data.split(b"\n")
        records = []
        for line in complete:
            if self._size:
                record = self._finish(line)
            elif len(line) > self._limit:
                record = self._overlong(line)
            elif line.isspace() or not line:
                continue
            else:
                record = decode_line(line)
            if record is not None:
                records.append(record)
        self._keep(rest)
        return records

    def finish(self) -> list[dict[str, Any]]:
        """The stream has ended: what an unterminated last line holds."""
        record = self._finish(b"") if self._size else None
        return [] if record is None else [record]

    def _keep(self, part: bytes) -> None:
        if not part:
            return
        self._size += len(part)
        if not self._skipping:
            self._parts.append(part)
            if self._size > self._limit:
                # Keep enough for the event's head; the rest of the line is only counted.
                self._parts = [b"".join(self._parts)[: HEAD_LIMIT * 4]]
                self._skipping = True

    def _finish(self, part: bytes) -> dict[str, Any] | None:
        self._keep(part)
        line = b"".join(self._parts)
        size, skipped = self._size, self._skipping
        self._parts, self._size, self._skipping = [], 0, False
        if skipped:
            return unparseable(f"a line of {size} bytes, the limit is {self._limit}", line)
        return decode_line(line) if line.strip() else None

    def _overlong(self, line: bytes) -> dict[str, Any]:
        return unparseable(f"a line of {len(line)} bytes, the limit is {self._limit}", line)
