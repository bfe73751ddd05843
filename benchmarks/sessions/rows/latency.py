"""How long from a line written to the ctx called, and from a cancel to the return."""

from __future__ import annotations

from typing import Any

from benchmarks.sessions.bench import Bench
from benchmarks.sessions.numbers import percentile
from benchmarks.sessions.rivals import BARE_TASK, MACHINE
from benchmarks.sessions.sections import Section, Table

LATENCY_TEXT = """
Another process writes a STATUS line every 12 to 20 ms, with the time in it; `ctx.report_progress` looks at the clock.
Alone, and together with 64 sessions in the same process whose agents are silent.

`the machine` is no package at all: bare Python that waits for inotify in `epoll`, reads the line and looks at the
clock. `one bare Trio task` does the same after `wait_readable`. They take turns with the others.

Both packages' time is the wake-up of a process (the published one has two, its `tail` and itself) and Python that runs
with cold caches, because it has slept for 15 ms; we call some fifty functions between inotify and the ctx.
"""

CANCEL_TEXT = """
From the request until `run_log_protocol_session` has returned, with an agent that ends at once. `by optio` sets the
ctx's flag, as the engine does; `by the caller` cancels the awaiting task.
"""

SEED = 7


def measure(bench: Bench) -> dict[str, Any]:
    """Distributions, rounds taking turns."""
    rounds, samples, cancels = bench.pick((1, 60, 20), (3, 400, 120))
    measured: dict[str, Any] = {}
    for beside in bench.pick((0,), (0, 64)):
        common = {"samples": samples, "seed": SEED}
        probes = [(rival, "latency", common | {"beside": beside}) for rival in bench.rivals]
        if not beside:
            probes += [(floor, "floor", common) for floor in bench.floors]
        answers = bench.turns(probes, rounds)
        measured[f"append to ctx, {f'beside {beside} idle sessions' if beside else 'alone'}"] = {
            name: [value for answer in own for value in answer.get("latencies", ())]
            for name, own in answers.items()
        }
    for how in ("optio", "caller"):
        answers = bench.rounds(bench.rivals, rounds, "cancel", how=how, samples=cancels)
        measured[f"cancel by {'optio' if how == 'optio' else 'the caller'}"] = {
            name: [value for answer in own for value in answer.get("times", ())]
            for name, own in answers.items()
        }
    return measured


def show(measured: dict[str, Any]) -> list[Section]:
    """Percentiles, and how they compare."""
    latency = _table({key: value for key, value in measured.items() if key.startswith("append")}, 1.0, 0.5)
    cancel = _table({key: value for key, value in measured.items() if key.endswith("optio")}, 1 / 20, 1 / 10)
    other = _table({key: value for key, value in measured.items() if key.endswith("caller")}, None, None)
    return [
        Section("From a line to the ctx", LATENCY_TEXT, [latency]),
        Section("From a cancel to the return", CANCEL_TEXT, [cancel, other]),
    ]


def _table(measured: dict[str, Any], median_goal: float | None, tail_goal: float | None) -> Table:
    table = Table(["", "samples", "p50", "p99", "worst", "p50 : published", "p99 : published"])
    with_floor = any(MACHINE in by_name for by_name in measured.values())
    if with_floor:
        table.header = [*table.header, "p50 : the machine"]
    for title, by_name in measured.items():
        published = next(values for name, values in by_name.items() if name.startswith("published"))
        floor = by_name.get(MACHINE)
        for name, values in by_name.items():
            if not values:
                table.add(f"{title}: {name}", "0", "failed", *[""] * (len(table.header) - 3))
                continue
            p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
            cells = ["", ""]
            if values is not published and published:
                is_ours = name not in (MACHINE, BARE_TASK)
                cells = [
                    _compared(p50 / percentile(published, 0.5), median_goal if is_ours else None),
                    _compared(p99 / percentile(published, 0.99), tail_goal if is_ours else None),
                ]
            if with_floor:
                cells.append(f"{p50 / percentile(floor, 0.5):.1f}" if floor and values is not floor else "")
            table.add(f"{title}: {name}", str(len(values)), _ms(p50), _ms(p99), _ms(max(values)), *cells)
    return table


def _compared(share: float, goal: float | None) -> str:
    if goal is None:
        return f"{share:.3f}"
    return f"{share:.3f} (goal {goal:g}{'' if share <= goal else ', **not reached**'})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms"
