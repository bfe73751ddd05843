"""Signals of a backend in an order that is rare, or about something that is over."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.conversation.turns.effects import InterruptStarted, Offered, Settled
from optio_agents.conversation.values import Fate, InterruptKind, SendEnd, State, TurnStatus
from tests.conversation.turn_steps import (
    ENDED,
    asked,
    between_two_turns,
    ends,
    hear,
    receipts,
    running,
    told,
)

BEGAN = {"say": "began", "turn": 1}
LOST_RACE = {"say": "refused", "send": 2, "reason": "no", "lost_race": True}


def test_an_interrupt_that_came_before_the_turn_had_begun_is_said_again_then() -> None:
    turns = running()
    turns.interrupt(3, 5.0)
    assert told(turns) == [{"do": "interrupt"}]
    hear(turns, BEGAN)
    assert told(turns) == [{"do": "interrupt"}]


def test_a_refused_turn_takes_with_it_what_was_folded_into_it_and_what_it_asked() -> None:
    turns = running()
    turns.steer(2, "second")
    hear(turns, {"say": "folded", "send": 2, "turn": 1}, asked("k"))
    effects = hear(turns, {"say": "refused", "send": 1, "reason": "no"})
    rejected = SendEnd(Fate.REJECTED, reason="no")
    assert ends(effects) == {1: rejected, 2: rejected}
    assert [effect for effect in effects if isinstance(effect, Settled)] == [Settled(1, "withdrawn")]
    assert turns.turn_state.state is State.IDLE


# Permissions.


def test_a_request_that_is_repeated_while_it_is_open_is_one_request() -> None:
    turns = running()
    effects = hear(turns, asked("k"), asked("k"))
    assert len([effect for effect in effects if isinstance(effect, Offered)]) == 1
    hear(turns, ENDED)
    assert told(turns) == [{"do": "cancel", "key": "k"}]


def test_a_request_of_another_turn_than_the_running_one_is_refused() -> None:
    turns = running()
    effects = hear(turns, asked("k", turn=7))
    assert [effect for effect in effects if isinstance(effect, Offered)] == []
    assert told(turns) == [{"do": "cancel", "key": "k"}]


def test_a_request_that_is_open_when_the_agent_dies_is_settled_as_closed() -> None:
    turns = running()
    hear(turns, asked("k"))
    settled = [effect for effect in turns.gone("it died") if isinstance(effect, Settled)]
    assert settled == [Settled(1, "closed")]


# Between two turns.


def test_an_interrupt_between_two_turns_stops_the_one_that_the_agent_makes_of_the_steer() -> None:
    turns = between_two_turns()
    assert turns.interrupt(3, 5.0) == [InterruptStarted(3, 5.0)]
    assert turns.turn_state.state is State.INTERRUPTING
    assert told(turns) == []  # there is nothing yet that it could stop
    assert receipts(hear(turns, {"say": "adopted", "sends": [2]})) == []
    assert told(turns) == [{"do": "interrupt"}]
    (receipt,) = receipts(hear(turns, {**ENDED, "turn": 2, "status": "interrupted"}))
    assert receipt is not None
    assert receipt.kind is InterruptKind.INTERRUPTED
    assert receipt.turn is not None
    assert (receipt.turn.turn, receipt.turn.status) == (2, TurnStatus.INTERRUPTED)


@pytest.mark.parametrize(
    ("news", "kind", "fate"),
    [
        ({"say": "folded", "send": 2, "turn": 1}, InterruptKind.FINISHED, Fate.FOLDED),
        ({"say": "refused", "send": 2, "reason": "no"}, InterruptKind.FINISHED, Fate.REJECTED),
        (LOST_RACE, InterruptKind.INTERRUPTED, Fate.UNSENT),
    ],
    ids=["folded", "refused", "lost the race"],
)
def test_an_interrupt_between_two_turns_leaves_the_next_one_alone(
    news: dict[str, Any], kind: InterruptKind, fate: Fate
) -> None:
    turns = between_two_turns()
    turns.send(4, "next")
    turns.interrupt(3, 5.0)
    effects = hear(turns, news)
    (receipt,) = receipts(effects)
    assert receipt is not None
    assert (receipt.kind, receipt.queued) == (kind, ("next",))
    assert ends(effects)[2].fate is fate
    assert [each["do"] for each in told(turns)] == ["prompt"]
    assert turns.turn_state.state is State.RUNNING


def test_an_interrupt_between_two_turns_waits_for_the_last_of_what_was_steered() -> None:
    turns = running()
    turns.steer(2, "second")
    turns.steer(3, "third")
    hear(turns, ENDED)
    turns.interrupt(4, 5.0)
    assert receipts(hear(turns, {"say": "folded", "send": 2, "turn": 1})) == []
    (receipt,) = receipts(hear(turns, {"say": "folded", "send": 3, "turn": 1}))
    assert receipt is not None
    assert receipt.kind is InterruptKind.FINISHED


def test_what_was_folded_into_a_turn_before_the_last_does_not_get_the_last_ones_result() -> None:
    turns = running()
    turns.steer(2, "second")
    turns.steer(3, "third")
    hear(turns, ENDED, {"say": "adopted", "sends": [2]}, {**ENDED, "turn": 2})
    assert ends(hear(turns, {"say": "folded", "send": 3, "turn": 1})) == {3: SendEnd(Fate.FOLDED)}


def test_a_steer_that_lost_its_race_is_sent_next_but_not_after_the_end() -> None:
    turns = between_two_turns()
    assert ends(hear(turns, LOST_RACE)) == {}
    assert [each["text"] for each in told(turns)] == ["second"]
    turns = between_two_turns()
    turns.close()
    assert ends(hear(turns, LOST_RACE)) == {2: SendEnd(Fate.REJECTED, reason="no")}
