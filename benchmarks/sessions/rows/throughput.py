"""The speed of handling a complete log."""

from __future__ import annotations

from typing import Any

from benchmarks.sessions import limits
from benchmarks.sessions.bench import Bench, good, of_log
from benchmarks.sessions.logs import CALLER, DELIVERABLE, PLAIN, STATUS, Log, Mix
from benchmarks.sessions.numbers import median, spread
from benchmarks.sessions.sections import Section, Table, at_least

GOALS = {"plain": 40.0, "status": 40.0, "deliverable": 5.0, "caller": 4.0}
LIMIT_GOAL = 0.5

TEXT = """
The clock runs from the moment at which the log stands complete (in memory: the page cache) until
`run_log_protocol_session` has returned. Medians of several runs, with the least and the greatest; MB are 10⁶ bytes.
`read + count` is `os.read` in pieces of 256 KiB and `bytes.count(b"\\n")`, the least that a program in Python can do
to a log; it was measured in the same process after each session, on the very file that the session had read.
"""


def measure(bench: Bench) -> dict[str, Any]:
    """Every mix, every rival, in turn; the machine's limits in between."""
    measured: dict[str, Any] = {}
    rounds = bench.pick(1, 4)
    for mix, megabytes in _plan(bench):
        log = bench.logs.get(mix, megabytes)
        measured[f"{mix.name} {megabytes:g} MB"] = _measure(bench, mix, log, rounds, None)
    for mix, megabytes in () if bench.quick else ((PLAIN, 1000), (STATUS, 1000)):
        log = bench.logs.get(mix, megabytes)
        measured[f"{mix.name} {megabytes:g} MB"] = _measure(bench, mix, log, 5, None, published_rounds=1)
    if bench.mongo:
        megabytes = bench.pick(10, 100)
        for mix in bench.pick((STATUS,), (PLAIN, STATUS)):
            log = bench.logs.get(mix, megabytes)
            measured[f"{mix.name} {megabytes:g} MB on MongoDB"] = _measure(
                bench, mix, log, bench.pick(1, 3), bench.mongo
            )
    return measured


def _plan(bench: Bench) -> list[tuple[Mix, float]]:
    return [
        (PLAIN, bench.pick(40, 100)),
        (STATUS, bench.pick(10, 100)),
        (DELIVERABLE, bench.pick(5, 20)),
        (CALLER, bench.pick(5, 20)),
    ]


def _measure(
    bench: Bench, mix: Mix, log: Log, rounds: int, mongo: str | None, *, published_rounds: int | None = None
) -> dict[str, Any]:
    bench.say(f"throughput: {mix.name}, {log.size / 1e6:.0f} MB, {rounds} rounds")
    rivals = (bench.published, bench.asyncio) if mongo else bench.rivals
    samples: dict[str, list[Any]] = {rival.name: [] for rival in rivals}
    counting: list[float] = []
    for number in range(rounds):
        for rival in rivals:
            if rival is bench.published and published_rounds is not None and number >= published_rounds:
                continue
            samples[rival.name].append(
                bench.try_probe(rival, "throughput", log=log.path, mongo=mongo, **of_log(mix))
            )
        counting.append(limits.word_count(log.path))
    return {
        "mix": mix.name,
        "title": mix.title,
        "size": log.size,
        "lines": log.lines,
        "mongo": bool(mongo),
        "published": bench.published.name,
        "samples": samples,
        "read_and_count": [
            answer["read_and_count"]
            for own in samples.values()
            for answer in own
            if "read_and_count" in answer
        ],
        "wc": counting,
    }


def rates(entry: dict[str, Any], name: str) -> list[float]:
    """MB/s of a rival's good measurements."""
    return [
        entry["size"] / 1e6 / seconds for seconds in good(entry["samples"][name], lambda one: one["seconds"])
    ]


def show(measured: dict[str, Any]) -> list[Section]:
    """One table of rates, one of ratios."""
    speeds = Table(["log", "published", "ours, asyncio", "ours, Trio", "read + count", "wc -l"])
    ratios = Table(
        ["log", "asyncio : published", "Trio : published", "asyncio : read + count", "Trio : read + count"]
    )
    for entry in measured.values():
        published = entry["published"]
        where = ", real ctx on MongoDB" if entry["mongo"] else ""
        title = f"{entry['title']}, {entry['size'] / 1e6:,.0f} MB{where}"
        cells, factors, shares = [], [], []
        base = rates(entry, published)
        limit = [entry["size"] / 1e6 / seconds for seconds in entry["read_and_count"]]
        for name in (published, "asyncio", "Trio"):
            own = rates(entry, name) if name in entry["samples"] else []
            cells.append(f"{spread(own, ',.0f')} MB/s" if own else "")
            if name != published:
                factors.append(
                    at_least(median(own) / median(base), GOALS[entry["mix"]]) if own and base else ""
                )
                share = median(own) / median(limit) if own else 0.0
                bounded = own and entry["mix"] in ("plain", "status")
                shares.append(
                    at_least(share, LIMIT_GOAL, ".2f") if bounded else f"{share:.3f}" if own else ""
                )
        wc = [entry["size"] / 1e6 / seconds for seconds in entry["wc"]]
        speeds.add(title, *cells, f"{spread(limit, ',.0f')} MB/s", f"{spread(wc, ',.0f')} MB/s")
        ratios.add(title, *factors, *shares)
    return [Section("Throughput", TEXT, [speeds, ratios])]
