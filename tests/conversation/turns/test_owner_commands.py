"""The owner's commands, at moments that are rare."""

from __future__ import annotations

from optio_agents.conversation.turns.effects import InterruptStarted
from optio_agents.conversation.values import Fate, InterruptKind
from tests.conversation.turn_steps import (
    ENDED,
    between_two_turns,
    ends,
    hear,
    receipts,
    running,
    starting,
    told,
)


def test_an_interrupt_before_the_agent_is_ready_stops_what_would_have_been_the_first_turn() -> None:
    turns = starting()
    turns.send(1, "first")
    turns.send(2, "second")
    effects = turns.interrupt(3, 5.0)
    assert {send: end.fate for send, end in ends(effects).items()} == {1: Fate.UNSENT}
    (receipt,) = receipts(effects)
    assert receipt is not None
    assert (receipt.kind, receipt.queued) == (InterruptKind.INTERRUPTED, ("second",))
    hear(turns, {"say": "ready"})
    assert [each["text"] for each in told(turns)] == ["second"]


def test_what_is_steered_into_a_turn_that_is_being_stopped_is_sent_next_before_what_waits() -> None:
    turns = running()
    turns.send(2, "waits")
    turns.interrupt(3, 5.0)
    told(turns)
    turns.steer(4, "steered")
    assert told(turns) == []
    assert turns.turn_state.queued == ("steered", "waits")


def test_stop_and_send_between_two_turns_stops_the_one_that_may_follow() -> None:
    turns = between_two_turns()
    assert turns.stop_and_send(3, "now", 4, 5.0) == [InterruptStarted(4, 5.0)]
    hear(turns, {"say": "adopted", "sends": [2]})
    assert told(turns) == [{"do": "interrupt"}]
    hear(turns, {**ENDED, "turn": 2, "status": "interrupted"})
    assert [each["text"] for each in told(turns)] == ["now"]


def test_nobody_who_gives_up_what_was_folded_into_a_turn_stops_it_for_the_others() -> None:
    turns = running()
    turns.steer(2, "second")
    hear(turns, {"say": "folded", "send": 2, "turn": 1})
    told(turns)
    (receipt,) = receipts(turns.withdraw_or_interrupt(2, 3, 5.0))
    assert receipt is not None
    assert receipt.kind is InterruptKind.NOTHING_RUNNING
    assert told(turns) == []
    assert turns.withdraw_or_interrupt(1, 4, 5.0) == [InterruptStarted(4, 5.0)]
    assert told(turns) == [{"do": "interrupt"}]


def test_an_interrupt_of_a_steer_that_the_agent_never_mentions_again_expires() -> None:
    turns = between_two_turns()
    turns.interrupt(3, 5.0)
    (receipt,) = receipts(turns.interrupt_expired(3))
    assert receipt is not None
    assert receipt.kind is InterruptKind.UNANSWERED
    assert turns.turn_state.closed is not None
    assert turns.interrupt_expired(3) == []
