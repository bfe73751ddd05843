"""Which exception comes out, what stays beside it, and that none is lost."""

from __future__ import annotations

import pytest
import trio
from outcome import Error

import actors
from optio_agents.session.conclusion import Conclusion
from optio_agents.session.events import Ended, SessionEvent
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import DeliverableRecord, Ending, SessionFailed, SessionOutcome
from optio_agents.session.plan import Plan
from optio_agents.session.verdict import BodyEnded, CancelAsked, DoneSeen, ErrorSeen, Fact, Judge, LogEnded
from tests.support.session_parts import plan_of

CRASH = ValueError("crash")


def cancelled() -> trio.Cancelled:
    return trio.Cancelled._create(source="unknown")


def escalated(cause: BaseException, *others: BaseException) -> actors.Escalated:
    error = actors.Escalated("tailer", cause, "failed")
    for other in others:
        error.keep(other, "Also failed")
    return error


def conclude(
    *facts: Fact,
    failure: BaseException | None = None,
    after: BaseException | None = None,
    plan: Plan | None = None,
) -> SessionOutcome | BaseException:
    judge = Judge()
    for fact in facts:
        judge.hear(fact)
    concluded = Conclusion(plan_of() if plan is None else plan, judge).conclude(failure, after)
    return concluded.error if isinstance(concluded, Error) else concluded.unwrap()


def failed(result: object) -> SessionFailed:
    assert isinstance(result, SessionFailed)
    return result


def good(result: object) -> SessionOutcome:
    assert isinstance(result, SessionOutcome)
    return result


def test_done_is_the_outcome_and_the_last_event() -> None:
    events: list[SessionEvent] = []
    outcome = good(conclude(DoneSeen("all of it"), plan=plan_of(observe=events.append)))
    assert (outcome.ending, outcome.message) == (Ending.DONE, "all of it")
    assert events == [Ended(outcome)]


def test_a_cancel_by_optio_is_no_failure() -> None:
    assert good(conclude(CancelAsked())).ending is Ending.CANCELLED


def test_error_is_a_failure_with_its_outcome() -> None:
    error = failed(conclude(ErrorSeen("no disk")))
    assert str(error) == "no disk"
    assert (error.outcome.ending, error.outcome.message) == (Ending.ERROR, "no disk")
    assert error.others == ()


@pytest.mark.parametrize("keywords", [True, False])
def test_the_bodys_return_is_good_where_there_are_no_keywords(keywords: bool) -> None:
    result = conclude(BodyEnded(None), LogEnded(), plan=plan_of(keywords=keywords))
    if keywords:
        assert failed(result).outcome.ending is Ending.BODY_ENDED
    else:
        assert good(result).ending is Ending.BODY_ENDED


def test_what_the_body_raised_comes_out_itself() -> None:
    assert conclude(BodyEnded(CRASH), LogEnded()) is CRASH


def test_a_crash_after_done_is_on_record() -> None:
    outcome = good(conclude(DoneSeen(None), BodyEnded(CRASH)))
    assert outcome.problems == (f"Also raised: {CRASH!r}",)


def test_an_exit_request_outranks_everything_and_the_rest_is_noted() -> None:
    request = SystemExit(3)
    assert conclude(ErrorSeen("no disk"), BodyEnded(request), failure=escalated(CRASH)) is request
    notes = "\n".join(request.__notes__)
    assert "no disk" in notes
    assert "crash" in notes


def test_an_exit_request_after_done_is_a_failure() -> None:
    request, events = KeyboardInterrupt(), list[SessionEvent]()
    result = conclude(DoneSeen(None), BodyEnded(request), plan=plan_of(observe=events.append))
    assert result is request
    (ended,) = events
    assert isinstance(ended, Ended)
    assert ended.outcome.ending is Ending.FAILED


def test_the_callers_cancellation_comes_before_the_verdict() -> None:
    cancellation = cancelled()
    error = SessionFailed("no", SessionOutcome(Ending.FAILED))
    assert conclude(ErrorSeen("no disk"), BodyEnded(error), failure=cancellation) is cancellation
    assert any("no" in note for note in cancellation.__notes__)


def test_the_verdicts_failure_comes_before_an_actors() -> None:
    error = failed(conclude(ErrorSeen("no disk"), failure=escalated(CRASH)))
    assert error.outcome.ending is Ending.ERROR
    assert [type(each) for each in error.others] == [actors.Escalated]


def test_an_actors_failure_is_named_and_comes_before_done() -> None:
    error = failed(conclude(DoneSeen(None), failure=escalated(CRASH, LookupError("second"))))
    assert "tailer failed: ValueError('crash')" in str(error)
    assert error.__cause__ is CRASH
    assert error.outcome.ending is Ending.FAILED
    assert [str(each) for each in error.others] == ["'second'"] or "second" in str(error.others)


def test_the_failures_of_several_supervisors_are_followed_to_the_innermost() -> None:
    outer = actors.Escalated("session", actors.Escalated("fetcher", CRASH, "failed"), "failed")
    error = failed(conclude(failure=outer))
    assert "fetcher failed" in str(error)
    assert error.__cause__ is CRASH


def test_a_failure_of_the_set_up_comes_out_itself() -> None:
    assert conclude(failure=CRASH) is CRASH


def test_a_body_that_failed_before_its_log_did_is_what_comes_out() -> None:
    assert conclude(BodyEnded(CRASH), failure=escalated(OSError("log"))) is CRASH
    assert any("log" in note for note in CRASH.__notes__)


def test_optios_cancellation_hides_an_actors_failure_but_keeps_it() -> None:
    outcome = good(conclude(CancelAsked(), failure=escalated(CRASH)))
    assert outcome.ending is Ending.CANCELLED
    assert "crash" in outcome.problems[0]


def test_a_crash_that_came_with_the_callers_cancel_is_told() -> None:
    group = BaseExceptionGroup(
        "", [cancelled(), BaseExceptionGroup("", [KeyboardInterrupt("x"), cancelled()])]
    )
    assert isinstance(conclude(failure=group), KeyboardInterrupt)


def test_a_group_of_cancellations_is_one() -> None:
    first = cancelled()
    assert conclude(failure=BaseExceptionGroup("", [first, cancelled()])) is first


def test_a_group_of_the_callers_own_is_left_alone() -> None:
    group = ExceptionGroup("mine", [CRASH])
    assert conclude(failure=group) is group


@pytest.mark.parametrize("with_cancel", [False, True])
def test_done_with_unsettled_things_is_no_success(with_cancel: bool) -> None:
    plan = plan_of(options=SessionOptions(drain_timeout=7))
    plan.recorder.unsettled = 2
    result = conclude(DoneSeen(None), *([CancelAsked()] if with_cancel else []), plan=plan)
    if with_cancel:
        assert good(result).ending is Ending.CANCELLED
    else:
        error = failed(result)
        assert "2 announced" in str(error)
        assert "7 s" in str(error)
        assert error.outcome.ending is Ending.FAILED


@pytest.mark.parametrize("ending", [ErrorSeen("no disk"), CancelAsked()])
def test_unsettled_things_change_no_other_ending(ending: Fact) -> None:
    plan = plan_of()
    plan.recorder.unsettled = 2
    result = conclude(ending, plan=plan)
    outcome = result.outcome if isinstance(result, SessionFailed) else good(result)
    assert outcome.ending in (Ending.ERROR, Ending.CANCELLED)


@pytest.mark.parametrize(("strict", "redone"), [(True, False), (True, True), (False, False)])
def test_a_refused_deliverable_is_a_failure_where_that_counts(strict: bool, redone: bool) -> None:
    plan = plan_of(options=SessionOptions(strict=strict))
    plan.recorder.settle(DeliverableRecord("a.txt", False, "no"))
    if redone:
        plan.recorder.settle(DeliverableRecord("a.txt", True, "accepted"))
    result = conclude(DoneSeen(None), plan=plan)
    if strict and not redone:
        assert "a.txt" in str(failed(result))
    else:
        assert good(result).ending is Ending.DONE


def test_refused_deliverables_beyond_what_is_kept_count_too() -> None:
    plan = plan_of(options=SessionOptions(strict=True))
    plan.recorder.refused_more = True
    failed(conclude(DoneSeen(None), plan=plan))


def test_a_failure_of_after_execute_comes_out_of_a_good_session() -> None:
    events: list[SessionEvent] = []
    assert conclude(DoneSeen(None), after=CRASH, plan=plan_of(observe=events.append)) is CRASH
    assert isinstance(events[-1], Ended)
    assert events[-1].outcome.ending is Ending.FAILED
    assert events[-1].outcome.message == "after_execute callback raised: ValueError('crash')"


def test_a_failure_of_after_execute_is_kept_beside_another() -> None:
    error = failed(conclude(ErrorSeen("no disk"), after=CRASH))
    assert error.others == (CRASH,)
    assert "crash" in error.__notes__[0]
    assert error.outcome.problems == ("after_execute callback raised: ValueError('crash')",)


def test_an_observer_that_fails_at_the_end_is_a_failure_or_a_note_on_one() -> None:
    def observe(event: SessionEvent) -> None:
        raise LookupError("observer")

    with pytest.raises(LookupError):
        conclude(DoneSeen(None), plan=plan_of(observe=observe))
    error = failed(conclude(ErrorSeen("no disk"), plan=plan_of(observe=observe)))
    assert any("observer" in note for note in error.__notes__)
