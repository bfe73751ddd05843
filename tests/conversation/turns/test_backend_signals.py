"""Signals of a backend in an order that is rare, or about something that is over."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.turns.backend_signals import AGENT_TURN_EVENT
from optio_agents.conversation.turns.effects import InterruptStarted, Offered, Settled, TurnEnded
from optio_agents.conversation.values import (
    ConversationState,
    Event,
    Fate,
    InterruptKind,
    Origin,
    SendEnd,
    TurnResult,
    TurnStatus,
)
from tests.conversation.turn_steps import (
    ENDED,
    asked,
    between_two_turns,
    ends,
    hear,
    idle,
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
    assert turns.turn_state.state is ConversationState.IDLE


# Permissions.


def test_a_request_that_is_repeated_while_it_is_open_is_one_request() -> None:
    turns = running()
    effects = hear(turns, asked("k"), asked("k"))
    assert len([effect for effect in effects if isinstance(effect, Offered)]) == 1


@pytest.mark.parametrize("turn", [1, 7])
def test_a_request_outlives_the_turn_in_which_it_was_asked(turn: int) -> None:
    turns = running()
    hear(turns, asked("k", turn=turn))
    hear(turns, ENDED)
    assert told(turns) == []
    before = turns.turn_state.state
    assert turns.decide(1, PermissionDecision("allow")) == [Settled(1, "answered")]
    assert [each["do"] for each in told(turns)] == ["decide"]
    assert (before, turns.turn_state.state) == (ConversationState.AWAITING_PERMISSION, ConversationState.IDLE)


def test_an_interrupt_withdraws_what_the_agent_asks_and_leaves_what_its_subagents_ask() -> None:
    turns = running()
    effects = hear(turns, asked("k"), {**asked("s"), "asker": "a subagent"})
    assert [effect.number for effect in effects if isinstance(effect, Offered)] == [1, 2]
    assert Settled(1, "interrupted") in turns.interrupt(3, 5.0)
    assert told(turns) == [{"do": "interrupt"}, {"do": "cancel", "key": "k"}]
    hear(turns, asked("late"))  # what it asks while it stops is refused
    assert told(turns) == [{"do": "cancel", "key": "late"}]
    assert len(turns.turn_state.requests) == 1


def test_a_request_that_is_open_when_the_agent_dies_is_settled_as_closed() -> None:
    turns = running()
    hear(turns, asked("k"))
    settled = [effect for effect in turns.gone("it died") if isinstance(effect, Settled)]
    assert settled == [Settled(1, "closed")]


# Between two turns.


def test_an_interrupt_between_two_turns_stops_the_one_that_the_agent_makes_of_the_steer() -> None:
    turns = between_two_turns()
    assert turns.interrupt(3, 5.0) == [InterruptStarted(3, 5.0)]
    assert turns.turn_state.state is ConversationState.INTERRUPTING
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
    assert turns.turn_state.state is ConversationState.RUNNING


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


# Turns that the agent begins by itself.

WOKE = {"say": "woke", "own": "w"}
OWN_ENDED = {"say": "ended", "own": "w", "status": "completed", "text": "mine"}


def results(effects: list[Any]) -> list[TurnResult]:
    return [effect.result for effect in effects if isinstance(effect, TurnEnded)]


def test_a_turn_of_its_own_has_a_number_a_state_and_a_result_and_what_is_sent_waits_for_its_end() -> None:
    turns = idle()
    (_, began) = hear(turns, WOKE)
    assert isinstance(began, Event)
    assert (began.raw["type"], began.turn) == (AGENT_TURN_EVENT, 1)
    assert turns.turn_state.state is ConversationState.RUNNING
    assert not turns.turn_state.pending  # of ours nothing waits
    turns.send(1, "next")
    assert told(turns) == []
    (result,) = results(hear(turns, OWN_ENDED))
    assert (result.turn, result.origin, result.text) == (1, Origin.AGENT, "mine")
    assert [each["text"] for each in told(turns)] == ["next"]


def test_a_prompt_that_crosses_the_beginning_of_such_a_turn_waits_behind_it() -> None:
    turns = running()
    hear(turns, WOKE)
    assert turns.turn_state.turn == 2
    (result,) = results(hear(turns, OWN_ENDED))
    assert (result.turn, result.origin) == (2, Origin.AGENT)
    assert turns.turn_state.turn == 1
    assert ends(hear(turns, BEGAN, ENDED))[1].fate is Fate.ANSWERED


def test_a_prompt_may_be_taken_into_such_a_turn_also_when_that_has_ended() -> None:
    turns = running()
    hear(turns, WOKE, {"say": "folded", "send": 1, "own": "w"})
    (end,) = ends(hear(turns, OWN_ENDED)).values()
    assert (end.fate, end.turn and end.turn.text) == (Fate.FOLDED, "mine")
    assert turns.turn_state.state is ConversationState.IDLE
    turns = running()
    (end,) = ends(hear(turns, WOKE, OWN_ENDED, {"say": "folded", "send": 1, "own": "w"})).values()
    assert (end.fate, end.turn and end.turn.text) == (Fate.FOLDED, "mine")


def test_an_interrupt_stops_such_a_turn_and_ours_goes_on() -> None:
    turns = running()
    hear(turns, WOKE)
    turns.interrupt(3, 5.0)
    assert told(turns) == [{"do": "interrupt"}]
    (receipt,) = receipts(hear(turns, {**OWN_ENDED, "status": "interrupted"}))
    assert receipt is not None
    assert (receipt.kind, receipt.turn and receipt.turn.turn) == (InterruptKind.INTERRUPTED, 2)
    assert turns.turn_state.state is ConversationState.RUNNING
    hear(turns, BEGAN)
    assert told(turns) == []


def test_our_turn_that_is_given_up_behind_it_is_stopped_when_its_time_comes() -> None:
    turns = running()
    hear(turns, WOKE)
    assert turns.withdraw_or_interrupt(1, 3, 5.0) == []
    assert told(turns) == []  # the turn that runs is not the one that was given up
    assert InterruptStarted(3, 5.0) in hear(turns, OWN_ENDED)
    hear(turns, BEGAN)
    assert told(turns) == [{"do": "interrupt"}]


def test_such_a_turn_whose_end_was_lost_has_failed_once_the_agent_works_on_another() -> None:
    turns = running()
    (result,) = results(hear(turns, WOKE, BEGAN))
    assert (result.turn, result.status) == (2, TurnStatus.FAILED)
    assert turns.turn_state.turn == 1
    (result,) = results(hear(turns, WOKE, {"say": "woke", "own": "x"}, {"say": "woke", "own": "y"}))
    assert (result.turn, result.origin) == (3, Origin.AGENT)
    assert turns.turn_state.behind is not None


def test_all_turns_that_have_not_ended_are_lost_with_the_agent() -> None:
    turns = running()
    hear(turns, WOKE)
    lost = results(turns.gone("it died"))
    assert [(result.turn, result.status) for result in lost] == [(2, TurnStatus.LOST), (1, TurnStatus.LOST)]


def test_a_turn_says_how_many_lines_of_it_were_lost() -> None:
    turns = running()
    effects = turns.receive(b'{"say": broken\nplain text\n')
    assert len(effects) == 2
    (result,) = results(hear(turns, ENDED))
    assert result.lost_lines == 1


def test_the_events_of_results_and_requests_are_marked_as_kept() -> None:
    turns = running()
    effects = hear(turns, {"say": "text", "turn": 1, "text": "x"}, asked("k"), ENDED)
    assert [event.kept for event in effects if isinstance(event, Event)] == [False, True, True]
