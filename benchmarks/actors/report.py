"""The report: a table, the ratios that were promised, a chart, and what is not compared."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.actors.clock import Lap
from benchmarks.actors.rows import ROWS, SENDERS

Samples = dict[str, dict[str, list[Lap]]]
"""Microseconds by row, system and round."""

SMALLEST = SENDERS
"""The least count that every row can do."""

DOCS = Path(__file__).parents[2] / "docs"

TARGETS = (
    ("tell", "actors", "trio", 8.0),
    ("tell", "actors", "asyncio", 1.0),
    ("tell", "actors", "pykka", 4.0),
    ("tell", "actors, traced", "actors", 0.75),
    ("ask", "actors", "trio", 0.75),
    ("ask", "actors", "pykka", 1.5),
    ("ask", "actors", "xoscar", 2.0),
    ("spawn", "actors", "trio", 0.4),
    ("spawn", "actors", "trio, nursery.start", 0.95),
    ("spawn", "actors", "xoscar", 2.0),
    ("inline", "actors", "method call", 1 / 3),
)
"""Row, system, compared with, and how many times as fast it was meant to be."""

NOTES = """\
## What the rows mean

Every number in the table is microseconds by the wall's clock for one message, question, hop or actor: the median of
the rounds, and the quartiles in brackets. *trio* is the usual code without actors: a memory channel of 64 with `send`
and `async for`; for asks two events and `fail_after`, without a queue; for spawning a nursery task with three events
(ready, stop, ended). *trio, nursery.start* does the same with `nursery.start` and a cancel scope. *asyncio* is a task
around an `asyncio.Queue(64)`. *actors, traced* has hooks on that do nothing. *method call* is no actor at all: a
method of a plain object that does what the handler of the actor without a task does.

## What is not compared

- Pykka and Erlang have unbounded mailboxes: their tells never wait, and are not slowed by backpressure. Xoscar's
  `tell` queues a task for each message.
- Pykka's actors are threads. It has no supervisor (no restart row), and 10,000 of them were not started (no mass
  cancel). Its stop waits for the thread. It can use several cores where it does not hold the interpreter's lock;
  the others here cannot.
- Xoscar is built for actors in many processes and machines. Here it runs with all actors in this process, which is
  its fastest mode; it has no supervisor, and no comparable cancel.
- Trio and asyncio tasks have no mailbox policy, no death watch, no restart, no dead letters. Their mass cancel is
  one call on a nursery (trio). Ours cancels each actor separately and returns its dead letters.
- Erlang is a virtual machine with a scheduler on every core, restarted for each measurement (its start is
  not timed). It shows what actors can cost; it is not a competitor. Its memory is what it reports for a process; that
  of the others is the growth of the resident set of a fresh process.
- No handler does any work here. With real work, the differences in the first rows hardly matter.
"""


def text(samples: Samples, memory: dict[str, float], rounds: int) -> str:
    """The whole document."""
    systems = list(dict.fromkeys(name for by_system in samples.values() for name in by_system))
    lines = [
        "# What actors cost",
        "",
        f"One run of `python -m benchmarks.actors` with {rounds} interleaved rounds on {_machine()}. "
        "The machine was shared: trust the ratios further down, each the median of the ratios within a round.",
        "",
        "![microseconds by row and system](benchmarks-actors.svg)",
        "",
        "| µs for one | " + " | ".join(systems) + " |",
        "|---" * (len(systems) + 1) + "|",
    ]
    for row in ROWS:
        cells = [_cell(samples.get(row.key, {}).get(name)) for name in systems]
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    weights = [f"{memory[name] / 1024:.1f} KiB" if name in memory else "" for name in systems]
    lines.append("| memory of an idle actor | " + " | ".join(weights) + " |")
    lines += [
        "",
        "## Against the goals",
        "",
        "How many times as fast, by the wall's clock and by processor time, which the neighbours on a shared machine "
        "hardly touch.",
        "",
        "| row | | against | goal | wall | processor | |",
        "|---" * 7 + "|",
    ]
    for key, name, other, goal in TARGETS:
        if other in samples.get(key, {}):
            wall, cpu = _ratios(samples[key][name], samples[key][other])
            verdict = (
                "reached" if min(wall, cpu) >= goal else "**missed**" if max(wall, cpu) < goal else "close"
            )
            lines.append(f"| {key} | {name} | {other} | {goal:.3g}x | {wall:.2f}x | {cpu:.2f}x | {verdict} |")
    lines += ["", _verdict(samples), "", NOTES]
    return "\n".join(lines)


def _verdict(samples: Samples) -> str:
    spawn, ask = samples["spawn"], samples["ask"]
    spawning = _ratios(spawn["trio"], spawn["pykka"])
    asking = _ratios(ask["trio"], ask["pykka"])
    return (
        "Where Trio is the limit: a nursery task with three events is "
        f"{spawning[0]:.1f} times as fast as a Pykka thread ({spawning[1]:.1f} by processor time), and the leanest "
        f"exchange with a deadline (two events, no queue) {asking[0]:.1f} times as fast as a Pykka ask "
        f"({asking[1]:.1f} by processor time)."
    )


def _ratios(mine: list[Lap], others: list[Lap]) -> tuple[float, float]:
    pairs = list(zip(mine, others, strict=True))
    wall = statistics.median(other.wall / own.wall for own, other in pairs)
    cpu = statistics.median((other.cpu or 0.0) / own.cpu for own, other in pairs if own.cpu)
    return wall, cpu


def _cell(laps: list[Lap] | None) -> str:
    if laps is None:
        return ""
    values = [lap.wall for lap in laps]
    if len(values) < 3:
        return _short(statistics.median(values))
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{_short(middle)} ({_short(low)}-{_short(high)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _machine() -> str:
    parts = [f"{os.cpu_count()} cores", platform.python_implementation() + " " + platform.python_version()]
    parts += [f"{name} {version(name)}" for name in ("trio", "pykka", "xoscar")]
    try:
        command = ["erl", "-noshell", "-eval", 'io:format("~s", [erlang:system_info(otp_release)]), halt().']
        parts.append(
            "Erlang/OTP " + subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )
    except FileNotFoundError:
        parts.append("no Erlang")
    return ", ".join(parts)


def write(document: str, samples: Samples) -> None:
    """Write the document and the chart into docs/."""
    DOCS.joinpath("benchmarks-actors.md").write_text(document)
    draw(samples, DOCS / "benchmarks-actors.svg")


def draw(samples: Samples, path: Path) -> None:
    """A bar for each system and row, logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks-actors"
    from matplotlib import pyplot

    systems = ("actors", "trio", "asyncio", "pykka", "xoscar", "erlang")
    rows = [row for row in ROWS if row.key in samples]
    figure, axes = pyplot.subplots(figsize=(10, 4.5))
    width = 0.8 / len(systems)
    for index, name in enumerate(systems):
        places = [i + index * width for i, row in enumerate(rows) if name in samples[row.key]]
        heights = [
            statistics.median(lap.wall for lap in samples[row.key][name])
            for row in rows
            if name in samples[row.key]
        ]
        axes.bar(places, heights, width, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("µs for one, logarithmic")
    axes.set_xticks(
        [i + 0.4 - width / 2 for i in range(len(rows))], [row.key.replace("_", "-") for row in rows]
    )
    axes.legend(ncols=len(systems), fontsize="small", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
