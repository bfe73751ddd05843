"""The judge: the same facts give the same verdict, and DONE counts by its place in the log."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from optio_agents.session.outcome import Ending
from optio_agents.session.verdict import (
    BodyEnded,
    CancelAsked,
    DoneSeen,
    ErrorSeen,
    Fact,
    Judge,
    LogEnded,
    Phase,
    Trouble,
)

CRASH = ValueError("crash")
EXIT = SystemExit(3)


def judged(*facts: Fact) -> Judge:
    judge = Judge()
    for fact in facts:
        judge.hear(fact)
    return judge


@pytest.mark.parametrize(
    ("facts", "ending"),
    [
        ([DoneSeen("x")], Ending.DONE),
        ([ErrorSeen("x")], Ending.ERROR),
        ([DoneSeen("x"), BodyEnded(CRASH)], Ending.DONE),
        ([BodyEnded(CRASH), DoneSeen("x")], Ending.DONE),
        ([BodyEnded(None), DoneSeen("x")], Ending.DONE),
        ([BodyEnded(None), ErrorSeen("x")], Ending.ERROR),
        ([BodyEnded(None), LogEnded()], Ending.BODY_ENDED),
        ([BodyEnded(CRASH), LogEnded()], Ending.BODY_FAILED),
        ([BodyEnded(EXIT)], Ending.BODY_FAILED),
        ([CancelAsked()], Ending.CANCELLED),
        ([BodyEnded(CRASH), CancelAsked()], Ending.CANCELLED),
        ([DoneSeen("x"), CancelAsked()], Ending.DONE),
        ([Trouble(EXIT)], Ending.FAILED),
    ],
)
def test_the_first_decisive_fact_decides(facts: list[Fact], ending: Ending) -> None:
    verdict = judged(*facts).verdict
    assert verdict is not None
    assert verdict.ending is ending


def test_a_body_that_ends_leaves_the_rest_of_the_log_to_be_read() -> None:
    judge = judged(BodyEnded(None))
    assert judge.verdict is None
    assert judge.phase is Phase.READING_REST


def test_the_body_s_own_exception_object_is_the_verdict_s() -> None:
    verdict = judged(BodyEnded(CRASH), LogEnded()).verdict
    assert verdict is not None
    assert verdict.error is CRASH


@pytest.mark.parametrize("facts", [[BodyEnded(CRASH), DoneSeen("x")], [DoneSeen("x"), BodyEnded(CRASH)]])
def test_an_exception_that_did_not_decide_is_kept(facts: list[Fact]) -> None:
    assert judged(*facts).others == [CRASH]


def test_an_error_without_text_has_one() -> None:
    verdict = judged(ErrorSeen(None)).verdict
    assert verdict is not None
    assert verdict.message == "agent reported ERROR"


FACTS = st.lists(
    st.sampled_from(
        [
            DoneSeen("d"),
            ErrorSeen("e"),
            BodyEnded(None),
            BodyEnded(CRASH),
            LogEnded(),
            CancelAsked(),
            Trouble(EXIT),
        ]
    )
)


@given(FACTS, FACTS)
def test_what_is_decided_stays_decided(before: list[Fact], after: list[Fact]) -> None:
    judge = judged(*before)
    verdict = judge.verdict
    for fact in after:
        judge.hear(fact)
    assert verdict is None or judge.verdict is verdict


@given(FACTS.filter(lambda facts: sum(isinstance(fact, BodyEnded) for fact in facts) <= 1))
def test_no_exception_is_lost(facts: list[Fact]) -> None:
    judge = judged(*facts)
    raised = [
        fact.error for fact in facts if isinstance(fact, BodyEnded | Trouble) and fact.error is not None
    ]
    kept = [*judge.others, *([judge.verdict.error] if judge.verdict and judge.verdict.error else [])]
    assert {id(error) for error in raised} == {id(error) for error in kept}
