"""The record: bounded, complete in its counts, and the one way to the ctx and the observer."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from optio_agents.session.events import (
    DeliverableSettled,
    MessageSent,
    ProblemReported,
    ProgressReported,
    SessionEvent,
)
from optio_agents.session.outcome import DeliverableRecord, Ending
from optio_agents.session.recorder import PROBLEMS_KEPT, RECORDS_KEPT, Recorder
from tests.support.session import RecordingCtx


class LevelCtx:
    """Like optio-core's, whose progress takes a level."""

    def __init__(self) -> None:
        self.levels: list[str] = []

    def report_progress(self, percent: Any, message: str | None = None, *, level: str = "info") -> None:
        self.levels.append(level)


def record(number: int, *, accepted: bool = True) -> DeliverableRecord:
    return DeliverableRecord(str(number), accepted, "reply")


def observed() -> tuple[Recorder, RecordingCtx, list[SessionEvent]]:
    events: list[SessionEvent] = []
    ctx = RecordingCtx()
    return Recorder(ctx, events.append), ctx, events


def test_progress_goes_to_the_ctx_and_the_observer() -> None:
    recorder, ctx, events = observed()
    assert recorder.is_observed
    recorder.progress(5.0, "x")
    assert ctx.of("progress") == [(5.0, "x")]
    assert events == [ProgressReported(5.0, "x")]
    assert not Recorder(ctx, None).is_observed


def test_a_problem_goes_everywhere() -> None:
    recorder, ctx, events = observed()
    recorder.problem("bad\x1b thing")
    (text,) = ctx.messages
    assert "\x1b" not in text
    assert events == [ProblemReported(text), ProgressReported(None, text)]
    assert recorder.outcome(Ending.DONE, None).problems == (text,)


@pytest.mark.parametrize("count", [PROBLEMS_KEPT, PROBLEMS_KEPT + 1, PROBLEMS_KEPT + 50])
def test_so_many_problems_are_noted_and_the_rest_is_counted(count: int) -> None:
    recorder = Recorder(RecordingCtx(), None)
    for number in range(count):
        recorder.problem(str(number))
    problems = recorder.outcome(Ending.DONE, None).problems
    assert problems[:PROBLEMS_KEPT] == tuple(str(number) for number in range(PROBLEMS_KEPT))
    more = count - PROBLEMS_KEPT
    assert problems[PROBLEMS_KEPT:] == ((f"({more} more)",) if more else ())


def test_optio_gets_warnings_while_they_are_few() -> None:
    ctx, events = LevelCtx(), list[SessionEvent]()
    recorder = Recorder(ctx, events.append)
    for _ in range(PROBLEMS_KEPT + 3):
        recorder.problem("x")
    assert ctx.levels == ["warning"] * PROBLEMS_KEPT + ["info"] * 3
    assert events.count(ProgressReported(None, "x")) == PROBLEMS_KEPT + 3


def test_a_ctx_whose_progress_has_no_signature_takes_no_level() -> None:
    class Ctx:
        report_progress = type("Opaque", (), {"__signature__": 3, "__call__": lambda self, *args: None})()

    Recorder(Ctx(), None).problem("x")


def test_what_is_kept_only_is_reported_to_neither() -> None:
    recorder, ctx, events = observed()
    assert recorder.keep("bad\x1b") == recorder.outcome(Ending.DONE, None).problems[0]
    assert (ctx.calls, events) == ([], [])


def test_a_note_survives_an_observer_and_a_ctx_that_fail() -> None:
    class Ctx:
        def report_progress(self, percent: Any, message: str) -> None:
            raise LookupError("ctx")

    def observe(event: SessionEvent) -> None:
        raise LookupError("observer")

    recorder = Recorder(Ctx(), observe)
    recorder.note("x")
    problems = recorder.outcome(Ending.DONE, None).problems
    assert len(problems) == 3
    assert problems[0] == "x"
    assert "observer" in problems[1]
    assert "ctx" in problems[2]


def test_a_note_is_reported() -> None:
    recorder, ctx, events = observed()
    recorder.note("x")
    assert ctx.messages == ["x"]
    assert events[0] == ProblemReported("x")


def test_an_observer_that_raises_is_asked_once() -> None:
    asked = []

    def observe(event: SessionEvent) -> None:
        asked.append(event)
        raise LookupError("observer")

    recorder = Recorder(RecordingCtx(), observe)
    with pytest.raises(LookupError):
        recorder.progress(None, "x")
    recorder.progress(None, "y")
    assert len(asked) == 1
    assert not recorder.is_observed


def test_problems_are_logged_by_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "optio_agents.session")
    recorder = Recorder(RecordingCtx(), None)
    recorder.problem("a", actor="fetcher")
    recorder.problem("b", error=ValueError("x"))
    recorder.log(logging.INFO, "c\x1b")
    assert [each.levelno for each in caplog.records] == [logging.WARNING, logging.ERROR, logging.INFO]
    assert caplog.records[0].actor == "fetcher"  # type: ignore[attr-defined]
    assert "\x1b" not in caplog.records[2].getMessage()


def test_an_error_that_is_kept_holds_no_local_of_any_exception_in_its_chain() -> None:
    def raised() -> Exception:
        large = ["large"]
        try:
            try:
                raise KeyError(large[0])
            except KeyError as error:
                raise LookupError from error
        except LookupError as error:
            return error

    error = raised()
    Recorder(RecordingCtx(), None).problem("x", error=error)
    for each in (error, error.__cause__):
        assert each is not None
        assert each.__traceback__ is not None
        assert each.__traceback__.tb_frame.f_locals == {}


def test_the_first_deliverables_and_the_last_are_kept_and_all_are_counted() -> None:
    recorder, _, events = observed()
    count = 2 * RECORDS_KEPT + 10
    for number in range(count):
        recorder.settle(record(number))
    outcome = recorder.outcome(Ending.DONE, None)
    kept = [int(each.path) for each in outcome.deliverables]
    assert kept == [*range(RECORDS_KEPT), *range(count - RECORDS_KEPT, count)]
    assert outcome.deliverable_count == count
    assert events[-1] == DeliverableSettled(record(count - 1))
    recorder.forget()
    assert recorder.outcome(Ending.DONE, None).deliverables == ()


def test_what_was_refused_and_not_redone_is_known_up_to_a_limit() -> None:
    recorder = Recorder(RecordingCtx(), None)
    for number in range(RECORDS_KEPT):
        recorder.settle(record(number, accepted=False))
    recorder.settle(record(0, accepted=False))
    assert (len(recorder.refused), recorder.refused_more) == (RECORDS_KEPT, False)
    recorder.settle(record(RECORDS_KEPT, accepted=False))
    assert (len(recorder.refused), recorder.refused_more) == (RECORDS_KEPT, True)
    recorder.settle(record(0))
    recorder.settle(record(-1))
    assert len(recorder.refused) == RECORDS_KEPT - 1


def test_a_message_that_was_sent_is_no_longer_unsaid() -> None:
    recorder, _, events = observed()
    recorder.unsaid = 2
    recorder.sent("a", True)
    left = []
    recorder.on_sent = lambda: left.append(recorder.unsaid)
    recorder.sent("b", False)
    assert (recorder.unsaid, left) == (0, [0])
    assert events == [MessageSent("a", True), MessageSent("b", False)]


def test_the_outcome_has_every_count() -> None:
    recorder = Recorder(RecordingCtx(), None)
    recorder.lines, recorder.cut_lines, recorder.lost_bytes, recorder.unsettled = 1, 2, 3, 4
    recorder.abandoned.append("body at x")
    recorder.time(setup=1.0)
    recorder.time(run=2.0)
    outcome = recorder.outcome(Ending.ERROR, "why")
    assert (outcome.ending, outcome.message, outcome.abandoned) == (Ending.ERROR, "why", ("body at x",))
    assert (outcome.lines, outcome.cut_lines, outcome.lost_bytes, outcome.unsettled) == (1, 2, 3, 4)
    assert (outcome.timings.setup, outcome.timings.run, outcome.timings.drain) == (1.0, 2.0, None)


@pytest.mark.timeout(60)
def test_errors_that_are_each_others_cause_are_released_once() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    recorder, _, _ = observed()
    recorder.problem("x", error=first)
    assert recorder.outcome(Ending.DONE, None).problems == ("x",)
