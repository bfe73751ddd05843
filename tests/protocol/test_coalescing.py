"""The coalescer against the real rule: optio-core's own `report_progress`, under a clock that the test moves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import example, given, settings, strategies as st
from optio_core import context as optio_context

from optio_agents.protocol.coalescing import QUIET_LIMIT, WINDOW, Call, ProgressCoalescer
from optio_agents.protocol.features import DEFAULT_FEATURES
from optio_agents.protocol.line_run import LineRun
from optio_agents.protocol.scanner import Scanner

Burst = tuple[float, int]
"""Seconds since the one before, and how many lines come at once."""


def make_run(first: int, count: int, *, every: bool = False) -> LineRun:
    data = b"".join(
        b"STATUS: %d%% line %d\n" % (number % 101, number) for number in range(first, first + count)
    )
    [run] = Scanner(DEFAULT_FEATURES, every=every).scan(data)
    assert isinstance(run, LineRun)
    return run


def dropped_in(entries: Sequence[Call]) -> int:
    """The sum of all `(N messages dropped)`."""
    return sum(
        int(found[1]) for _, text in entries if (found := re.match(r"\((\d+) messages dropped\)", text))
    )


def shown_in(entries: Sequence[Call]) -> list[str]:
    return [text for _, text in entries if not text.endswith("messages dropped)")]


class Recorded:
    """A real ProcessContext whose writes end in a list, and whose clock is `now`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.entries: list[Call] = []
        patch.setattr(optio_context, "time", SimpleNamespace(monotonic=lambda: self.now))
        nothing: Any = None
        self.ctx = optio_context.ProcessContext(
            ObjectId(), "p", ObjectId(), 0, {}, {}, nothing, "t", asyncio.Event(), {}
        )
        patch.setattr(self.ctx, "_write_progress", self._write)

    async def _write(self, progress: Any, level: str = "info") -> None:
        self.entries.append((progress.percent, progress.message))

    async def settle(self) -> None:
        """Let optio-core's flush task run until it has nothing to do."""
        for _ in range(5):
            await asyncio.sleep(0)


def play(
    bursts: Sequence[Burst], drive: Callable[[Recorded, Sequence[Burst]], Any]
) -> tuple[list[Call], list[Call]]:
    """What is in the database before the final flush, and after it."""

    async def main() -> tuple[list[Call], list[Call]]:
        with pytest.MonkeyPatch.context() as patch:
            recorded = Recorded(patch)
            await drive(recorded, bursts)
            before = list(recorded.entries)
            await recorded.ctx.flush_final_progress()
            return before, recorded.entries

    return asyncio.run(main())


async def report_each(recorded: Recorded, bursts: Sequence[Burst]) -> None:
    """As if every line had been reported."""
    number = 0
    for gap, count in bursts:
        recorded.now += gap
        for percent, text in make_run(number, count).first if count <= QUIET_LIMIT else ():
            recorded.ctx.report_progress(percent, text)
        if count > QUIET_LIMIT:
            for percent, text in make_run(number, count, every=True).first:
                recorded.ctx.report_progress(percent, text)
        number += count
        await recorded.settle()


class Folded:
    """A driver that folds, flushing whenever it is due, and keeps the calls that it made."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.before_the_end = 0
        self.coalescer = ProgressCoalescer()

    async def __call__(self, recorded: Recorded, bursts: Sequence[Burst]) -> None:
        number = 0
        for gap, count in bursts:
            arrival = recorded.now + gap
            while (due := self.coalescer.due) is not None and due <= arrival:
                recorded.now = max(recorded.now, due)
                await self._make(recorded, self.coalescer.flush(recorded.now))
            recorded.now = arrival
            await self._make(recorded, self.coalescer.add(make_run(number, count), arrival))
            number += count
        self.before_the_end = len(self.calls)
        for percent, text in self.coalescer.flush(recorded.now):
            self.calls.append((percent, text))
            recorded.ctx.report_progress(percent, text)

    async def _make(self, recorded: Recorded, calls: Sequence[Call]) -> None:
        for percent, text in calls:
            self.calls.append((percent, text))
            recorded.ctx.report_progress(percent, text)
        await recorded.settle()


gaps = st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.05, 0.11, 0.5]) | st.floats(0, 0.3)
counts = st.integers(1, 14) | st.sampled_from([100, 400])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(gaps, counts), min_size=1, max_size=25))
@example([(0.0, 5_000)])
@example([(0.0, 5_000), (0.001, 5_000), (0.001, 1)])
@example([(0.005, 1)] * 60)
@example([(0.0, 11)])
@example([(0.0, 11), (0.105, 10), (0.001, 1)])
@example([(0.0, 13), (0.105, 10), (0.001, 1)])
@example([(0.0, 10), (0.05, 10), (0.051, 10), (0.001, 1)])
@example([(0.0, 10), (0.05, 1), (0.001, 1), (0.2, 1)])
def test_the_database_ends_with_the_same_progress_and_no_message_is_unaccounted_for(
    bursts: list[Burst],
) -> None:
    total = sum(count for _, count in bursts)
    _, as_if = play(bursts, report_each)
    folded = Folded()
    before, entries = play(bursts, folded)

    assert entries[-1] == as_if[-1]
    assert len(shown_in(folded.calls)) + dropped_in(folded.calls) == total
    assert folded.coalescer.dropped == dropped_in(folded.calls)
    assert len(shown_in(as_if)) + dropped_in(as_if) == total
    order = [int(text.split()[1]) for text in shown_in(entries)]
    assert order == sorted(set(order))
    # Until the log ends, optio-core writes every call that the coalescer makes: it never has to drop one itself.
    assert before[: folded.before_the_end] == folded.calls[: folded.before_the_end]


@settings(deadline=None)
@given(st.lists(st.tuples(gaps, st.integers(1, 4)), max_size=25))
def test_a_quiet_log_passes_each_message_at_once_and_in_order(bursts: list[Burst]) -> None:
    coalescer = ProgressCoalescer()
    now, number = 0.0, 0
    recent: list[float] = []
    for gap, count in bursts:
        now += gap
        recent = [*(time for time in recent if now - time <= WINDOW), *[now] * count]
        if len(recent) > QUIET_LIMIT:
            return
        run = make_run(number, count)
        assert coalescer.add(run, now) == list(run.first)
        assert coalescer.due is None
        number += count


def test_a_burst_shows_its_beginning_its_size_and_its_end_at_once() -> None:
    coalescer = ProgressCoalescer()
    calls = coalescer.add(make_run(0, 5_000), 10.0)
    assert [text for _, text in calls] == [
        *(f"line {number}" for number in range(6)),
        "(4993 messages dropped)",
        "line 4999",
    ]
    assert calls[-1][0] == 4_999 % 101
    assert coalescer.due is None
    assert coalescer.flush(10.0) == []


def test_an_end_soon_after_a_burst_still_has_room_for_its_summary() -> None:
    bursts = [(0.0, 5_000), (0.001, 5_000)]
    folded = Folded()
    _, entries = play(bursts, folded)
    assert entries == folded.calls
    assert dropped_in(entries) + len(shown_in(entries)) == 10_000


def test_the_eleventh_message_is_held_and_then_shown() -> None:
    coalescer = ProgressCoalescer()
    assert len(coalescer.add(make_run(0, 11), 0.0)) == 10
    due = coalescer.due
    assert due is not None
    assert WINDOW < due < 2 * WINDOW
    assert coalescer.flush(due) == [(10, "line 10")]
    assert coalescer.dropped == 0


def test_a_message_after_a_burst_passes_at_once_behind_what_the_burst_left() -> None:
    coalescer = ProgressCoalescer()
    coalescer.add(make_run(0, 10), 0.0)
    assert coalescer.add(make_run(10, 3), 0.001) == []
    assert coalescer.due is not None
    assert coalescer.due > 0.105
    calls = coalescer.add(make_run(13, 1), 0.105)
    assert [text for _, text in calls] == ["(2 messages dropped)", "line 12", "line 13"]
    assert coalescer.due is None


def test_eleven_now_and_ten_a_moment_later_lose_nothing() -> None:
    coalescer = ProgressCoalescer()
    calls = coalescer.add(make_run(0, 11), 0.0) + coalescer.add(make_run(11, 10), 0.105)
    assert coalescer.due is not None
    calls += coalescer.flush(coalescer.due)
    assert [text for _, text in calls] == [f"line {number}" for number in range(21)]


def test_a_flood_makes_two_calls_per_tenth_of_a_second() -> None:
    coalescer = ProgressCoalescer()
    made = 0
    for step in range(10_000):
        made += len(coalescer.add(make_run(step * 50, 50), step / 10_000))
    assert 10 <= made <= 8 + 2 * 10
    assert coalescer.due is not None


def test_messages_that_are_no_lines_keep_their_place() -> None:
    coalescer = ProgressCoalescer()
    assert coalescer.add(make_run(0, 1), 0.0) == [(0, "line 0")]
    assert coalescer.report(None, "Deliverable: a", 0.0) == [(None, "Deliverable: a")]
    coalescer.add(make_run(1, 5_000), 0.001)
    assert coalescer.report(None, "Deliverable: b", 0.002) == []
    assert coalescer.flush(0.002)[-1] == (None, "Deliverable: b")


def test_every_line_is_passed_on_to_those_who_want_them() -> None:
    coalescer = ProgressCoalescer(every=True)
    assert len(coalescer.add(make_run(0, 5_000, every=True), 0.0)) == 5_000
    assert coalescer.report(7, "x", 0.0) == [(7, "x")]
    assert coalescer.due is None


def test_what_it_passes_on_is_fit_for_display() -> None:
    coalescer = ProgressCoalescer()
    [(_, text)] = coalescer.report(None, "\x1b[31mred\x00" + "x" * 100_000, 0.0)
    assert text.startswith("redxxx")
    assert len(text) == 2_000
