"""Where the time goes: what the profiler says about the handling of each mix."""

from __future__ import annotations

from typing import Any

from benchmarks.sessions.bench import Bench, of_log
from benchmarks.sessions.logs import CALLER, DELIVERABLE, PLAIN, STATUS
from benchmarks.sessions.sections import Section, Table

TEXT = """
cProfile over one run of each mix under Trio, by the functions' own time. It makes every Python call several times as
dear as it is and leaves the calls into C as they are, so the shares say where to look, not how long it takes.
"""

SHOWN = 8


def measure(bench: Bench) -> dict[str, Any]:
    """One profiled run for each mix."""
    return {
        mix.title: bench.try_probe(
            bench.trio, "throughput", log=bench.logs.get(mix, megabytes).path, profile=SHOWN, **of_log(mix)
        )
        for mix, megabytes in ((PLAIN, 100), (STATUS, 100), (DELIVERABLE, 5), (CALLER, 5))
    }


def show(measured: dict[str, Any]) -> list[Section]:
    """The functions at the top, for each mix."""
    tables = []
    for title, answer in measured.items():
        table = Table([title, "calls", "share of the time"])
        for name, calls, share in answer.get("profile", ()):
            table.add(f"`{name}`", f"{calls:,}", f"{share:.0%}")
        tables.append(table)
    return [Section("Where the time goes", TEXT, tables)]
