"""What the database holds after the same log."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from benchmarks.sessions.bench import Bench
from benchmarks.sessions.logs import MIXED
from benchmarks.sessions.sections import Section, Table

TEXT = """
One log of plain, STATUS, blank, indented and coloured lines, run as a process of a real optio-core engine on a real
MongoDB. What the process's record holds afterwards: its last percentage and message, and which kinds of entries its log
has (how many of each depends on how long the run took: optio-core writes about ten a second while lines pour in).
"""

_DROPPED = re.compile(r"\(\d+ messages dropped\)")


def measure(bench: Bench) -> dict[str, Any]:
    """One run each."""
    if not bench.mongo:
        return {}
    log = bench.logs.get(MIXED, bench.pick(2, 20))
    return {
        rival.name: bench.try_probe(rival, "throughput", log=log.path, mongo=bench.mongo)
        for rival in (bench.published, bench.asyncio)
    }


def show(measured: dict[str, Any]) -> list[Section]:
    """A column for each."""
    if not measured:
        return [Section("What the database holds", "Not measured: no `mongod` was found.")]
    table = Table(["", *measured])
    records = [answer.get("database") for answer in measured.values()]
    kinds = [_kinds(record) for record in records]
    table.add("state", *(record["state"] if record else "failed" for record in records))
    table.add("last percent", *(str(record["progress"]["percent"]) if record else "" for record in records))
    table.add("last message", *(f"`{record['progress']['message']}`" if record else "" for record in records))
    for kind in sorted(set().union(*kinds)):
        table.add(f"entries: {kind}", *(str(each[kind]) for each in kinds))
    same = all(
        record and record["progress"] == records[0]["progress"] and set(kind) == set(kinds[0])
        for record, kind in zip(records, kinds, strict=True)
    )
    verdict = (
        "The same last percentage and message, the same kinds of entries." if same else "**They differ.**"
    )
    return [Section("What the database holds", f"{TEXT}\n{verdict}", [table])]


def _kinds(record: dict[str, Any] | None) -> Counter[str]:
    return Counter(_kind(level, message) for level, message in record["log"]) if record else Counter()


def _kind(level: str, message: str) -> str:
    if _DROPPED.fullmatch(message):
        return "messages dropped"
    if message.startswith("State changed"):
        return message.lower()
    return f"{level}: a line of the log" if level == "info" else f"{level}: engine"
