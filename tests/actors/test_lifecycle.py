from __future__ import annotations

import pytest

from actors.lifecycle import TRANSITIONS, State, Step, advance, mermaid


def test_nothing_leads_out_of_the_end() -> None:
    assert not [before for before, _ in TRANSITIONS if before is State.ENDED]


def test_every_state_can_be_reached_and_every_living_one_can_end() -> None:
    reached = {State.STARTING}
    while more := {after for (before, _), after in TRANSITIONS.items() if before in reached} - reached:
        reached |= more
    assert reached == set(State)
    for state in set(State) - {State.ENDED}:
        assert TRANSITIONS[state, Step.END] is State.ENDED


def test_a_stop_is_never_undone() -> None:
    """An actor that is stopping continues to stop or ends, after every step."""
    after = {TRANSITIONS[pair] for pair in TRANSITIONS if pair[0] is State.STOPPING}
    assert after == {State.STOPPING, State.ENDED}


def test_a_step_that_the_table_does_not_know_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="an actor that is ended cannot restart"):
        advance(State.ENDED, Step.RESTART)


def test_the_diagram_has_every_state() -> None:
    assert all(state.value in mermaid() for state in State)
