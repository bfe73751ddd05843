"""`docs/benchmarks.md` and its charts, from what was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.sessions.chart import Panel, draw
from benchmarks.sessions.numbers import median, percentile
from benchmarks.sessions.rows import (
    boundary,
    database,
    latency,
    memory,
    profiles,
    sessions,
    telemetry,
    throughput,
)
from benchmarks.sessions.sections import Section

INTRODUCTION = """
# Benchmarks

How fast a session is, beside the published `optio-agents` {version} and beside the machine's own limits. The published
package runs as a black box in a virtual environment of its own: the same Python, the same file, the same callbacks, one
fresh process per measurement, taking turns. `asyncio` is this package as optio's worker runs it; `Trio` is this package
awaited under plain Trio. Ratios carry over to other machines, absolute figures do not.

`make bench` generates this page; `make bench-quick` prints a short version of it within two minutes{quick}.
Machine: {machine}.

![throughput by mix, memory by size of the log, distributions of latency and of cancelling](benchmarks.svg)
"""

IN_THE_WAY = """
The reasons why goals were not reached, according to the profiles above and to timers around the parts:

- **From a line to the ctx, p99.** The goal is half of the published package's time. `the machine` alone needs that much
  (0.46 to 0.60 in several runs), and one bare Trio task needs more (0.64 to 0.72): sometimes, waking a process takes
  that long.
- **From a line to the ctx, p50.** The machine takes half of it, the loop of Trio or asyncio a fifth. The rest is ours:
  two system calls and about fifty Python calls, each of at most 10 µs. Beside idle sessions, the published package is
  faster than alone, because its idle sessions poll and keep the caches warm. `Idle sessions` shows the CPU time that
  this costs. Our idle sessions sleep.
- **Empty sessions.** The goals leave 0.25 to 0.4 ms for a session at once and 0.8 to 1.2 ms in turn. Under asyncio,
  starting and ending a Trio run takes 0.4 ms of each session in turn: the price of leaving nothing running after the
  last one. Four inodes take 0.1 ms, and five times as much after many deletions. Three actors under a supervisor, each
  with a task, a scope and an awaited end, take 0.3 to 0.5 ms. The published package has a few bare tasks; the process
  that it starts for each session uses another core.
"""

NOT_COMPARED = """
- **Remote hosts.** No row used SSH. Both packages read a remote log through their only connection, so a comparison
  would measure the network.
- **Cold logs.** Every log was in the page cache when it was read, like a log that an agent is writing.
- **Other workloads in the process.** A worker that is busy with something else delays both packages alike.
- **The work of callbacks and of agents.** Callbacks return at once, agents wait. If a callback takes a millisecond, the
  packages differ less than the rows above say.
- **Custom hosts** that only offer `workdir` and `tail_file`: they deliver lines one by one to both packages, and the
  factor for chatty logs is far smaller.
- **Guarantees.** For each deliverable, we open the file beneath its directory without following links, compute a digest
  and keep a record in the outcome. Our figures include this. The published package does none of it.
"""


def write(results: dict[str, Any], page: Path) -> None:
    """Write the page and, beside it, the charts."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(markdown(results))
    page.with_suffix(".svg").write_text(draw(_panels(results)))


def markdown(results: dict[str, Any]) -> str:
    """The page's text."""
    introduction = INTRODUCTION.strip().format(
        version=results["version"],
        machine=results["machine"],
        quick=" (this is one: small logs, few rounds)" if results["quick"] else "",
    )
    sections: list[Section] = []
    for name, group in GROUPS.items():
        if name in results:
            sections += group.show(results[name])
    if not results["quick"]:
        sections.append(Section("Why goals were not reached", IN_THE_WAY))
    sections.append(Section("What is not compared", NOT_COMPARED))
    return "\n\n".join([introduction, *(section.markdown() for section in sections)]) + "\n"


GROUPS: dict[str, Any] = {
    "throughput": throughput,
    "database": database,
    "memory": memory,
    "latency": latency,
    "boundary": boundary,
    "sessions": sessions,
    "telemetry": telemetry,
    "profiles": profiles,
}
"""The groups of rows in the order of the page."""


def machine() -> str:
    """The machine in a line."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", tempfile.gettempdir()], capture_output=True, text=True, check=True
    )
    return (
        f"{os.cpu_count()} cores ({model or platform.machine()}), "
        f"{platform.system()} {platform.release().split('-')[0]}, CPython {platform.python_version()}; "
        f"task directories on {kind.stdout.strip()}"
    )


def _panels(results: dict[str, Any]) -> list[Panel]:
    panels = []
    if "throughput" in results:
        panels.append(_throughput_panel(results["throughput"]))
    if "memory" in results:
        panels.append(_memory_panel(results["memory"]))
    if "latency" in results:
        for key, values in results["latency"].items():
            if key in ("append to ctx, alone", "cancel by optio"):
                panels.append(_distribution_panel(key, values))
    return panels


def _throughput_panel(measured: dict[str, Any]) -> Panel:
    chosen: dict[str, dict[str, Any]] = {}
    for entry in measured.values():
        if not entry["mongo"] and entry["mix"] not in chosen:
            chosen[entry["mix"]] = entry
    panel = Panel(
        "MB/s by mix",
        [(number, mix) for number, mix in enumerate(chosen)],
        [(1, "1"), (10, "10"), (100, "100"), (1000, "1,000"), (5000, "5,000")],
        x_is_log=False,
    )
    for number, entry in enumerate(chosen.values()):
        bars = [(name, throughput.rates(entry, name)) for name in entry["samples"]]
        bars.append(("read + count", [entry["size"] / 1e6 / seconds for seconds in entry["read_and_count"]]))
        for place, (who, values) in enumerate(bars):
            if values:
                panel.bars.append((who, number - 0.4 + place * 0.2, 0.19, median(values)))
    return panel


def _memory_panel(measured: dict[str, Any]) -> Panel:
    curves: dict[str, list[tuple[float, float]]] = {}
    for title, answers in measured.items():
        kind, _, size = title.rpartition(", ")
        if kind == "chatty log" and size.endswith(" MB"):
            for who, answer in answers.items():
                if "peak" in answer:
                    curves.setdefault(who, []).append((float(size[:-3]), max(0.1, answer["peak"])))
    panel = Panel(
        "peak memory above idle (MiB) by size of a chatty log (MB)",
        [(10, "10"), (100, "100"), (1000, "1,000")],
        [(0.1, "0.1"), (1, "1"), (16, "16"), (100, "100")],
    )
    panel.lines = [(who, sorted(points)) for who, points in curves.items() if len(points) > 1]
    return panel


def _distribution_panel(title: str, by_name: dict[str, Sequence[float]]) -> Panel:
    panel = Panel(
        f"{title} (ms): share of samples below",
        [(0.05, "0.05"), (0.1, "0.1"), (1, "1"), (10, "10"), (100, "100")],
        [(0.0, "0 %"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1.0, "100")],
        y_is_log=False,
    )
    for who, values in by_name.items():
        if values:
            panel.lines.append(
                (who, [(percentile(values, step / 40) * 1000, step / 40) for step in range(1, 41)])
            )
    return panel
