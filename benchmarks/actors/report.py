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

LIMITS = (("timers", "actors", 5.0),)
"""Row, system, and how many microseconds it may take at most."""

LIMIT_OF_MEMORY = 5.0
"""KiB of an idle actor."""

NOTES = """\
## What the rows mean

Every number in the table is microseconds by the wall's clock for one message, question, hop or actor: the median of
the rounds, and the quartiles in brackets. *trio* is the usual code without actors: a memory channel of 64 with `send`
and `async for`; for asks two events and `fail_after`, without a queue; for spawning a nursery task with three events
(ready, stop, ended). *trio, no deadline* leaves `fail_after` out, and *trio, nursery.start* uses `nursery.start` and a
cancel scope. *asyncio* is a task around an `asyncio.Queue(64)`. *actors, traced* has hooks on that do nothing. *method
call* and *awaited method* are no actors at all: a method, and a coroutine method that never waits, of a plain object
that does what the handler of the actor without a task does.

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
        f"The machine was shared (load {os.getloadavg()[2]:.1f}): trust the ratios further down, each the median of "
        "the ratios within a round.",
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
            verdict = _judge(goal / wall, goal / cpu)
            lines.append(f"| {key} | {name} | {other} | {goal:.3g}x | {wall:.2f}x | {cpu:.2f}x | {verdict} |")
    for key, name, limit in LIMITS:
        laps = samples[key][name]
        wall = statistics.median(lap.wall for lap in laps)
        cpu = statistics.median(lap.cpu or 0.0 for lap in laps)
        verdict = _judge(wall / limit, cpu / limit)
        lines.append(f"| {key} | {name} | | {limit:.3g} µs | {wall:.2f} µs | {cpu:.2f} µs | {verdict} |")
    kib = memory["actors"] / 1024
    verdict = _judge(kib / LIMIT_OF_MEMORY, kib / LIMIT_OF_MEMORY)
    lines.append(f"| memory | actors | | {LIMIT_OF_MEMORY:.3g} KiB | {kib:.2f} KiB | | {verdict} |")
    lines += ["", _bare_rows(samples), "", NOTES]
    return "\n".join(lines)


def _judge(*shares: float) -> str:
    """What to say of a goal, given the shares of it that were used up by each clock: at most 1 is within."""
    return "reached" if max(shares) <= 1 else "**missed**" if min(shares) > 1 else "close"


def _bare_rows(samples: Samples) -> str:
    """What no actor can go below, from the rows without actors."""

    def ratio(key: str, name: str, other: str) -> str:
        wall, cpu = _ratios(samples[key][name], samples[key][other])
        return f"{wall:.1f} times as fast as {other} ({cpu:.1f} by processor time)"

    return (
        "The rows without actors show the limits. An ask takes two task switches. These alone, without a deadline, are "
        f"{ratio('ask', 'trio, no deadline', 'pykka')}. An ask, which has a deadline, is "
        f"{ratio('ask', 'actors', 'trio')}, because one task watches the deadlines of all asks. "
        f"A nursery task with three events is {ratio('spawn', 'trio', 'pykka')}, and an actor is "
        f"{ratio('spawn', 'actors', 'pykka')}. "
        "Awaiting a coroutine method instead of calling it costs a factor of "
        f"{_cost(samples, 'awaited method', 'method call')} without any actor; a `tell` that is awaited costs "
        f"{_cost(samples, 'actors', 'method call')} times a method call."
    )


def _cost(samples: Samples, name: str, other: str) -> str:
    wall, cpu = _ratios(samples["inline_tell"][other], samples["inline_tell"][name])
    return f"{wall:.1f} ({cpu:.1f} by processor time)"


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
