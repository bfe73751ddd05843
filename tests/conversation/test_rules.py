"""Signals in an order that is rare: what was folded into a refused turn, interrupts between two turns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optio_agents.conversation.effects import Effect, InterruptStarted, Receipted, SendEnded, Settled
from optio_agents.conversation.standing import Standing
from optio_agents.conversation.turns import Turns
from optio_agents.conversation.values import (
    Fate,
    InterruptKind,
    InterruptReceipt,
    SendEnd,
    State,
    TurnStatus,
)
from tests.support.simulated_agent import SimulatedCodec

ENDED = {"say": "ended", "turn": 1, "status": "completed", "text": "t"}


def hear(turns: Turns, *records: dict[str, Any]) -> list[Effect]:
    """What follows from these words of the agent."""
    return turns.receive(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def told(turns: Turns) -> list[dict[str, Any]]:
    """What the agent was told since the last call."""
    return [json.loads(line) for line in turns.standing.codec.take_output().splitlines()]


def between_two_turns() -> Turns:
    """Send 1 has ended; send 2 was steered into its turn, and the agent has not said what became of it."""
    turns = Turns(Standing(SimulatedCodec()))
    turns.start()
    hear(turns, {"say": "ready"})
    turns.send(1, "first")
    turns.steer(2, "second")
    hear(turns, ENDED)
    assert turns.standing.state is State.RUNNING
    told(turns)
    return turns


def receipts(effects: list[Effect]) -> list[InterruptReceipt | None]:
    return [effect.receipt for effect in effects if isinstance(effect, Receipted)]


def test_a_refused_turn_takes_with_it_what_was_folded_into_it_and_what_it_asked() -> None:
    turns = Turns(Standing(SimulatedCodec()))
    turns.start()
    hear(turns, {"say": "ready"})
    turns.send(1, "first")
    turns.steer(2, "second")
    hear(
        turns,
        {"say": "folded", "send": 2, "turn": 1},
        {"say": "asked", "key": "k", "turn": 1, "tool": "x", "input": {}},
    )
    effects = hear(turns, {"say": "refused", "send": 1, "reason": "no"})
    rejected = SendEnd(Fate.REJECTED, reason="no")
    assert [effect for effect in effects if isinstance(effect, SendEnded)] == [
        SendEnded(1, rejected),
        SendEnded(2, rejected),
    ]
    assert [effect for effect in effects if isinstance(effect, Settled)] == [Settled(1, "withdrawn")]
    assert turns.standing.state is State.IDLE


def test_an_interrupt_between_two_turns_stops_the_one_that_the_agent_makes_of_the_steer() -> None:
    turns = between_two_turns()
    assert turns.interrupt(3, 5.0) == [InterruptStarted(3, 5.0)]
    assert turns.standing.state is State.INTERRUPTING
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
        (
            {"say": "refused", "send": 2, "reason": "no", "lost_race": True},
            InterruptKind.INTERRUPTED,
            Fate.UNSENT,
        ),
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
    (end,) = (effect.end for effect in effects if isinstance(effect, SendEnded))
    assert end.fate is fate
    assert [each["do"] for each in told(turns)] == ["prompt"]
    assert turns.standing.state is State.RUNNING


def test_an_interrupt_of_a_steer_that_the_agent_never_mentions_again_expires() -> None:
    turns = between_two_turns()
    turns.interrupt(3, 5.0)
    (receipt,) = receipts(turns.interrupt_expired(3))
    assert receipt is not None
    assert receipt.kind is InterruptKind.UNANSWERED
    assert turns.standing.closed is not None
    assert turns.interrupt_expired(3) == []
