"""What a caller may set of a session, and what it is given at its end."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import DeliverableRecord, Ending, SessionFailed, SessionOutcome, Timings

NUMBERS = ("deliverable_limit", "text_limit", "drain_timeout", "cancel_grace", "after_execute_timeout")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["5", None, [1]])
def test_a_limit_that_is_no_number_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        SessionOptions(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_a_negative_limit_is_refused_by_its_name_and_zero_is_not(name: str) -> None:
    values: dict[str, Any] = {name: -1}
    with pytest.raises(ValueError, match=name):
        SessionOptions(**values)
    values[name] = 0
    assert getattr(SessionOptions(**values), name) == 0


@pytest.mark.parametrize("name", NUMBERS[2:])
def test_a_deadline_may_be_infinite_but_not_nan(name: str) -> None:
    values: dict[str, Any] = {name: inf}
    SessionOptions(**values)
    values[name] = nan
    with pytest.raises(ValueError, match=name):
        SessionOptions(**values)


async def observe_later(event: object) -> None:
    """Is not awaited."""


@pytest.mark.parametrize("observer", [observe_later, 5, "print"])
def test_an_observer_that_cannot_be_called_or_needs_an_await_is_refused(observer: Any) -> None:
    with pytest.raises(TypeError, match="on_event"):
        SessionOptions(on_event=observer)


def test_an_observer_that_is_a_plain_callable_is_taken() -> None:
    assert SessionOptions(on_event=list[object]().append).on_event is not None
    assert SessionOptions().on_event is None


@pytest.mark.parametrize("value", ["all", "", None])
def test_a_kind_of_progress_that_is_not_known_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="progress"):
        SessionOptions(progress=value)
    assert SessionOptions(progress="every").progress == "every"


def test_a_deliverable_that_was_redone_is_no_longer_rejected() -> None:
    first, second, redone = (
        DeliverableRecord("a", False, "no"),
        DeliverableRecord("b", False, "no"),
        DeliverableRecord("a", True, "accepted"),
    )
    outcome = SessionOutcome(Ending.DONE, deliverables=(first, second, redone))
    assert outcome.rejected == (second,)
    spoiled = SessionOutcome(Ending.DONE, deliverables=(redone, first))
    assert spoiled.rejected == (first,)


def test_a_phase_that_was_not_reached_has_no_duration() -> None:
    assert Timings() == Timings(None, None, None, None)


def test_the_failure_has_the_outcome_and_room_for_others() -> None:
    outcome = SessionOutcome(Ending.ERROR, "no disk")
    error = SessionFailed("no disk", outcome)
    assert (str(error), error.outcome, error.others) == ("no disk", outcome, ())
