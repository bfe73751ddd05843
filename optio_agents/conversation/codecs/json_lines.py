"""Bytes into JSON objects, one per line. Sans-IO.

Lines are split before they are decoded, so a read may end in the middle of a character. A line that is no JSON object
becomes an `x-optio-unparseable` event and the stream continues, because a program may print a warning among its events.
Memory is bounded by `LINE_LIMIT` for all input.
"""

from __future__ import annotations

import json
from typing import Any

LINE_LIMIT = 32 * 1024 * 1024
"""The longest line that is kept, in bytes. Tool results travel in one line each; the longest seen are a few MB."""

HEAD_LIMIT = 500
"""How many characters of an unparseable line its event shows."""

UNPARSEABLE = "x-optio-unparseable"


_raw_decode = json.JSONDecoder().raw_decode
"""Half of what `json.loads` takes for a line of bytes of an agent's usual size; what it refuses is looked at again."""

SEARCHES = 8
"""At how many places of a line a record is looked for that has other text before it."""


def unparseable(reason: str, line: bytes, *, tail: bytes = b"", lost: bool = False) -> dict[str, Any]:
    """The event for a line that is no JSON object.

    `lost`: the line may have been a record, which is not handled then.
    """
    head = line[: HEAD_LIMIT * 4].decode(errors="replace")[:HEAD_LIMIT]
    event: dict[str, Any] = {"type": UNPARSEABLE, "reason": reason, "line": head}
    if tail:
        event["tail"] = tail.decode(errors="replace")[-HEAD_LIMIT:]
    if lost:
        event["lost"] = True
    return event


def decode_line(line: bytes) -> dict[str, Any]:
    """One line's JSON object, or the event that says why it is none."""
    try:
        try:
            value = json.loads(line)
        except UnicodeDecodeError:
            value = json.loads(line.decode(errors="replace"))
    except RecursionError:
        return unparseable("nested too deeply", line, lost=True)
    except ValueError as error:
        return unparseable(str(error), line, lost=b"{" in line)
    if isinstance(value, dict):
        return value
    return unparseable(f"a JSON {type(value).__name__}, not an object", line)


def decode_mixed(line: bytes) -> list[dict[str, Any]]:
    """The content of a line: its object, or a text without a line end and the object after it."""
    first = decode_line(line)
    if not first.get("lost") or first.get("type") != UNPARSEABLE:
        return [first]
    place = 0
    for _ in range(SEARCHES):
        place = line.find(b'{"', place + 1)
        if place < 0:
            break
        record = decode_line(line[place:])
        if record.get("type") != UNPARSEABLE:
            return [unparseable("text before a record", line[:place]), record]
    return [first]


class JsonLines:
    """The framer: feed it what was read, take the objects of all lines that are complete."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._skipping = False
        self._tail = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that `data` completes, in order. Blank lines vanish."""
        *complete, rest = data.split(b"\n")
        records = []
        for line in complete:
            if self._size or len(line) > self._limit:
                records += self._finish(line)
            elif line and not line.isspace():
                try:
                    text = line.decode()
                    record, end = _raw_decode(text)
                except (ValueError, RecursionError):
                    records += decode_mixed(line)
                    continue
                if type(record) is dict and end == len(text):
                    records.append(record)
                else:
                    records += decode_mixed(line)
        self._keep(rest)
        return records

    def finish(self) -> list[dict[str, Any]]:
        """The stream has ended: return the content of an unterminated last line."""
        return self._finish(b"") if self._size else []

    def _keep(self, part: bytes) -> None:
        if not part:
            return
        self._size += len(part)
        if self._skipping:
            # Keep the end of the line, for the event; only count what is between.
            self._tail = (self._tail + part)[-HEAD_LIMIT * 4 :]
            return
        self._parts.append(part)
        if self._size > self._limit:
            whole = b"".join(self._parts)
            self._parts, self._tail = [whole[: HEAD_LIMIT * 4]], whole[-HEAD_LIMIT * 4 :]
            self._skipping = True

    def _finish(self, part: bytes) -> list[dict[str, Any]]:
        self._keep(part)
        line, tail = b"".join(self._parts), self._tail
        size, skipped = self._size, self._skipping
        self._parts, self._size, self._skipping, self._tail = [], 0, False, b""
        if skipped:
            reason = f"a line of {size} bytes, the limit is {self._limit}"
            return [unparseable(reason, line, tail=tail, lost=True)]
        return decode_mixed(line) if line.strip() else []
