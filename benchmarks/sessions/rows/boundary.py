"""What it costs that callers live in asyncio: the same sessions under asyncio and under plain Trio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.sessions.bench import Bench, Samples, is_good, of_log
from benchmarks.sessions.logs import CALLER, PLAIN
from benchmarks.sessions.numbers import median, spread
from benchmarks.sessions.sections import Section, Table, at_most

BOUND = 1.5
CALLBACKS = 1000

TEXT = """
The same sessions awaited under asyncio, where user code is called across the boundary, and under plain Trio, where it
is called directly: pairs of runs, one right after the other; the ratio is the median of the pairs' ratios. For logs the
clock runs as for the throughput. Empty sessions have no bound here: each opens and closes a boundary for nothing.
"""


def measure(bench: Bench) -> dict[str, Any]:
    """Pairs of runs."""
    pair = (bench.asyncio, bench.trio)
    megabytes, empty = bench.pick((40, 30), (100, 100))
    times, callback_times, empty_times = bench.pick((3, 3, 1), (5, 9, 5))
    log, messages = bench.logs.get(PLAIN, megabytes), bench.logs.of_lines(CALLER, CALLBACKS)
    calling = {"log": messages.path} | of_log(CALLER)
    return {
        "bounded": {
            f"{PLAIN.title}, {megabytes} MB": bench.rounds(pair, times, "throughput", log=log.path),
            f"{CALLBACKS:,} callbacks": bench.rounds(pair, callback_times, "throughput", **calling),
            f"{CALLBACKS:,} callbacks that wait for a turn of their loop": bench.rounds(
                pair, callback_times, "throughput", wait=True, **calling
            ),
        },
        "unbounded": {
            f"{empty} empty sessions, one after another": bench.rounds(
                pair, empty_times, "crowd", count=empty, at_once=False, lines=0
            )
        },
    }


def show(measured: dict[str, Any]) -> list[Section]:
    """Milliseconds, and how they compare."""
    table = Table(["", "asyncio", "Trio", "asyncio : Trio"])
    for title, samples in measured["bounded"].items():
        table.add(title, *_cells(samples, lambda ratio: at_most(ratio, BOUND, ".2f", "times")))
    for title, samples in measured["unbounded"].items():
        table.add(title, *_cells(samples, lambda ratio: f"{ratio:.2f} times"))
    return [Section("What the boundary costs", TEXT, [table])]


def _cells(samples: Samples, verdict: Callable[[float], str]) -> list[str]:
    pairs = [
        (one["seconds"], other["seconds"])
        for one, other in zip(samples["asyncio"], samples["Trio"], strict=True)
        if is_good(one) and is_good(other)
    ]
    if not pairs:
        return ["failed", "", ""]
    under_asyncio, under_trio = (
        [seconds * 1000 for seconds in column] for column in zip(*pairs, strict=True)
    )
    ratio = median([one / other for one, other in pairs])
    return [f"{spread(under_asyncio, ',.1f')} ms", f"{spread(under_trio, ',.1f')} ms", verdict(ratio)]
