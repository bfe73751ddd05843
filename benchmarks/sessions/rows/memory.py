"""How much memory a large log takes."""

from __future__ import annotations

from typing import Any

from benchmarks.sessions.bench import Bench, of_log
from benchmarks.sessions.logs import CALLER, DELIVERABLE, MIXED, PLAIN, STATUS, Log
from benchmarks.sessions.sections import Section, Table, at_most

BOUND = 16.0
STUCK = b'CALLER_MESSAGE: stuck {"until": "attention"}\n'
LAST = b"ATTENTION: everything before this was read\n"

TEXT = """
Peak resident memory (`VmHWM`, reset before the log is there) above the process's memory while the session was idle.
The log's bytes never pass through the measured process on their way to the disk. `after a stuck callback`: the callback
of the first line returns only when the ATTENTION in the last line was seen, so everything in between is read meanwhile.
"""


def measure(bench: Bench) -> dict[str, Any]:
    """Each mix at several sizes, one line, a stuck callback."""
    measured: dict[str, Any] = {}
    for mix in bench.pick((PLAIN, MIXED), (PLAIN, STATUS, MIXED)):
        for megabytes in bench.pick((10, 100) if mix is PLAIN else (10,), (10, 100, 1000)):
            log = bench.logs.get(mix, megabytes)
            with_published = megabytes <= bench.pick(0, 10)  # at 1 GB it takes minutes
            measured[f"{mix.title}, {megabytes} MB"] = _measure(bench, log, of_log(mix), with_published)
    for mix in (DELIVERABLE, CALLER):
        for megabytes in bench.pick((10,), (10, 1000)):
            log = bench.logs.get(mix, megabytes)
            with_published = megabytes <= bench.pick(0, 10)
            measured[f"{mix.title}, {megabytes} MB"] = _measure(bench, log, of_log(mix), with_published)
    mebibytes = bench.pick(64, 1024)
    line = bench.logs.one_line(mebibytes * 1024 * 1024)
    measured[f"one line of {mebibytes} MiB"] = _measure(bench, line, {}, True)
    for mix in (STATUS, CALLER):
        size = bench.pick(10, 1000 if mix is STATUS else 100)
        log = bench.logs.get(mix, size, first=STUCK, last=LAST)
        key = f"{mix.title}, {size} MB, after a stuck callback"
        measured[key] = _measure(bench, log, {"caller_messages": True, "stuck": True}, False)
    return measured


def _measure(bench: Bench, log: Log, parameters: dict[str, Any], with_published: bool) -> dict[str, Any]:
    rivals = bench.rivals if with_published else bench.rivals[1:]
    return {
        rival.name: bench.try_probe(
            rival,
            "throughput",
            log=log.path,
            memory=True,
            **parameters,
        )
        for rival in rivals
    }


def show(measured: dict[str, Any]) -> list[Section]:
    """Peaks."""
    names = list(dict.fromkeys(name for answers in measured.values() for name in answers))
    names.sort(key=lambda name: not name.startswith("published"))
    table = Table(["log", *names])
    for title, answers in measured.items():
        table.add(title, *(_cell(name, answers.get(name)) for name in names))
    return [Section("Memory", TEXT, [table])]


def _cell(name: str, answer: dict[str, Any] | None) -> str:
    if answer is None:
        return "not measured"
    if problem := answer.get("failed") or answer.get("error"):
        return f"fails: {problem[:60]}"
    if name.startswith("published"):
        return f"{answer['peak']:.1f} MiB"
    return at_most(answer["peak"], BOUND, ".1f", "MiB")
