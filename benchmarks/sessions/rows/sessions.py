"""What sessions cost by themselves: idle ones, empty ones, many at once."""

from __future__ import annotations

from typing import Any

from benchmarks.sessions.bench import Bench, good
from benchmarks.sessions.numbers import median, spread
from benchmarks.sessions.sections import Section, Table, at_least

IDLE_TEXT = """
Sessions that stand, with an agent that writes nothing: what the process holds above one without them, and what it does
meanwhile. Wake-ups are voluntary context switches of all its threads and children (the measurement itself makes a few).
"""

EMPTY_TEXT = """
An empty session prepares its directories, runs a body that writes DONE, and returns. What both packages do alike, to
make four inodes, takes the longer the more were deleted just before: so the same is shown with the task directories in
memory (tmpfs), where it takes next to nothing.
"""

IN_MEMORY = "/dev/shm"

CROWD_TEXT = """
Sessions at once in one process, 100 STATUS lines each and DONE: what a line costs, all of set-up and end included.
"""

CROWD_GOAL = 2.0


def measure(bench: Bench) -> dict[str, Any]:
    """Idle, empty, many."""
    idle = bench.pick(60, 300)
    rounds = bench.pick(1, 5)
    measured: dict[str, Any] = {
        "idle_count": idle,
        "idle": {
            rival.name: bench.try_probe(rival, "idle", count=idle, seconds=bench.pick(1.0, 5.0))
            for rival in bench.rivals
        },
        "in_turn_count": bench.pick(30, 100),
        "crowd_count": bench.pick(150, 2000),
        "few": bench.rounds(bench.rivals[1:], bench.pick(2, 7), "crowd", count=10, at_once=True, lines=100),
    }
    for suffix, place in (("", None), ("_in_memory", IN_MEMORY)):
        common = {"lines": 0, "place": place}
        measured[f"at_once{suffix}"] = bench.rounds(
            bench.rivals, rounds, "crowd", count=100, at_once=True, **common
        )
        measured[f"in_turn{suffix}"] = bench.rounds(
            bench.rivals, rounds, "crowd", count=measured["in_turn_count"], at_once=False, **common
        )
    measured["many"] = bench.rounds(
        bench.rivals[1:], bench.pick(1, 3), "crowd", count=measured["crowd_count"], at_once=True, lines=100
    )
    return measured


def show(measured: dict[str, Any]) -> list[Section]:
    """A section for each."""
    return [_idle(measured), _empty(measured), _crowd(measured)]


def _idle(measured: dict[str, Any]) -> Section:
    count = measured["idle_count"]
    table = Table(
        [f"{count} idle sessions", "children", "descriptors per session", "threads", "CPU ms/s", "wake-ups/s"]
    )
    for name, one in measured["idle"].items():
        if "failed" in one:
            table.add(name, "failed", "", "", "", "")
            continue
        table.add(
            name,
            str(one["children"]),
            f"{one['descriptors'] / count:.2f}",
            str(one["threads"]),
            f"{one['cpu_seconds'] * 1000 / one['seconds']:.2f}",
            f"{one['wake_ups'] / one['seconds']:.1f}",
        )
    return Section("Idle sessions", IDLE_TEXT, [table])


def _empty(measured: dict[str, Any]) -> Section:
    table = Table(["empty sessions per second", "published", "ours, asyncio", "ours, Trio"])
    for key, count, goal, title in (
        ("at_once", 100, 10.0, "100 at once"),
        ("in_turn", measured["in_turn_count"], 4.0, "one after another"),
        ("at_once_in_memory", 100, 10.0, "100 at once, directories in memory"),
        ("in_turn_in_memory", measured["in_turn_count"], 4.0, "one after another, directories in memory"),
    ):
        base: list[float] = []
        cells = []
        for name, samples in measured[key].items():
            own = [count / seconds for seconds in good(samples, lambda one: one["seconds"])]
            if name.startswith("published"):
                base = own
                cells.append(spread(own, ",.0f"))
            else:
                ratio = f"; {at_least(median(own) / median(base), goal)}" if own and base else ""
                cells.append(f"{spread(own, ',.0f')}{ratio}" if own else "failed")
        table.add(title, *cells)
    return Section("Empty sessions", EMPTY_TEXT, [table])


def _crowd(measured: dict[str, Any]) -> Section:
    count = measured["crowd_count"]
    table = Table(["", "10 sessions", f"{count:,} sessions", "ended well", "growth"])
    for name, many in measured["many"].items():
        few = [seconds / 1000 * 1e6 for seconds in good(measured["few"][name], lambda one: one["seconds"])]
        own = [seconds / count / 100 * 1e6 for seconds in good(many, lambda one: one["seconds"])]
        well = min((one.get("well", 0) for one in many), default=0)
        growth = median(own) / median(few) if own and few else float("nan")
        table.add(
            name,
            f"{spread(few, '.1f')} µs/line" if few else "failed",
            f"{spread(own, '.1f')} µs/line" if own else "failed",
            f"{well:,} of {count:,}",
            f"{growth:.2f} (bound {CROWD_GOAL:g}{'' if growth < CROWD_GOAL else ', **not kept**'})",
        )
    return Section("Many sessions", CROWD_TEXT, [table])
