"""What OpenTelemetry costs a session, off and on."""

from __future__ import annotations

from typing import Any

from benchmarks.sessions.bench import Bench, is_good
from benchmarks.sessions.numbers import median, spread
from benchmarks.sessions.sections import Section, Table

TEXT = """
Short sessions, one after another: without an instrument, and recorded by `optio_agents.telemetry` with the real SDK and
its exporters in memory. Turns of both alternate in one process; the ratio is the median of the turns' ratios. When it
is off, a session looks once whether an instrument is installed. The last column is that look as a share of a session.
"""


def measure(bench: Bench) -> dict[str, Any]:
    """Both worlds."""
    count, turns = bench.pick((30, 3), (100, 9))
    return {
        rival.name: [bench.try_probe(rival, "telemetry", count=count, turns=turns, lines=10)]
        for rival in (bench.asyncio, bench.trio)
    }


def show(measured: dict[str, Any]) -> list[Section]:
    """Milliseconds for a session."""
    table = Table(["10 lines and DONE", "off", "on", "on : off", "the look, off"])
    for name, (answer,) in measured.items():
        if not is_good(answer):
            table.add(name, "failed", "", "", "")
            continue
        off, on = ([each / answer["count"] * 1000 for each in answer[key]] for key in ("off", "on"))
        ratio = median([one / other for one, other in zip(on, off, strict=True)])
        share = answer["look"] * 1000 / median(off)
        table.add(
            name, f"{spread(off, '.2f')} ms", f"{spread(on, '.2f')} ms", f"{ratio:.2f} times", f"{share:.4%}"
        )
    return [Section("What telemetry costs", TEXT, [table])]
