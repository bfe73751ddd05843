"""Measure, and write docs/benchmarks-actors.md and its chart: `python -m benchmarks.actors [--rounds N] [--dry-run]`.

All systems take turns in each round, so that other load on the machine affects them alike; ratios are taken within
a round, and their medians are what is reported.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys

from benchmarks.actors import bare_asyncio, bare_trio, ours, report, with_erlang, with_pykka, with_xoscar
from benchmarks.actors.clock import Lap
from benchmarks.actors.rows import ROWS, Measure

SYSTEMS: dict[str, tuple[dict[str, Measure], float]] = {
    "actors": (ours.MEASURES, 1.0),
    "actors, traced": (ours.TRACED, 1.0),
    "method call": (ours.CALLS, 1.0),
    "awaited method": (ours.AWAITED, 1.0),
    "trio": (bare_trio.MEASURES, 1.0),
    "trio, no deadline": (bare_trio.SWITCHES, 1.0),
    "trio, nursery.start": (bare_trio.OWNED, 1.0),
    "asyncio": (bare_asyncio.MEASURES, 1.0),
    "pykka": (with_pykka.MEASURES, 0.25),
    "xoscar": (with_xoscar.MEASURES, 0.25),
}
"""The measures of each system, and which part of a row's count the slow ones are given."""

MEMORY = {
    "actors": "ours",
    "trio": "bare_trio",
    "asyncio": "bare_asyncio",
    "pykka": "with_pykka",
    "xoscar": "with_xoscar",
}


def measure(rounds: int) -> report.Samples:
    """Microseconds for one deed, by row and system, one number for each round."""
    systems = dict(SYSTEMS)
    if with_erlang.there():
        systems["erlang"] = (with_erlang.MEASURES, 1.0)
    samples: report.Samples = {}
    for turn in range(rounds):
        for row in ROWS:
            for name, (measures, scale) in systems.items():
                if row.key not in measures:
                    continue
                count = max(report.SMALLEST, int(row.count * scale) // 100 * 100)
                gc.collect()
                lap = measures[row.key](count)
                micro = Lap(lap.wall / count * 1e6, None if lap.cpu is None else lap.cpu / count * 1e6)
                samples.setdefault(row.key, {}).setdefault(name, []).append(micro)
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return samples


def weigh() -> dict[str, float]:
    """Bytes of an idle actor, by system."""
    found = {}
    for name, module in MEMORY.items():
        count = "500" if name == "pykka" else "5000"
        command = [sys.executable, "-m", "benchmarks.actors.memory", module, count]
        found[name] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if with_erlang.there():
        found["erlang"] = with_erlang.number("memory", 5000)
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often everything is measured (default: 9)")
    parser.add_argument("--dry-run", action="store_true", help="print the report, write no file")
    arguments = parser.parse_args()
    samples = measure(arguments.rounds)
    text = report.text(samples, weigh(), arguments.rounds)
    print(text)
    if not arguments.dry_run:
        report.write(text, samples)


if __name__ == "__main__":
    main()
