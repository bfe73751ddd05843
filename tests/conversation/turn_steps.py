"""Turns with an agent whose every word the test says: how they get somewhere, what was told, what followed."""

from __future__ import annotations

import json
from typing import Any

from optio_agents.conversation.turns.effects import Effect, Receipted, SendEnded
from optio_agents.conversation.turns.owner_commands import Turns
from optio_agents.conversation.turns.turn_state import TurnState
from optio_agents.conversation.values import ConversationState, InterruptReceipt, SendEnd
from tests.support.simulated_agent import SimulatedCodec

ENDED = {"say": "ended", "turn": 1, "status": "completed", "text": "t"}


def asked(key: str, turn: int = 1) -> dict[str, Any]:
    """The agent asks for permission."""
    return {"say": "asked", "key": key, "turn": turn, "tool": "x", "input": {}}


def hear(turns: Turns, *records: dict[str, Any]) -> list[Effect]:
    """What follows from these words of the agent."""
    return turns.receive(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def told(turns: Turns) -> list[dict[str, Any]]:
    """What the agent was told since the last call."""
    return [json.loads(line) for line in turns.turn_state.codec.take_output().splitlines()]


def receipts(effects: list[Effect]) -> list[InterruptReceipt | None]:
    return [effect.receipt for effect in effects if isinstance(effect, Receipted)]


def ends(effects: list[Effect]) -> dict[int, SendEnd]:
    """The sends that have ended, and how."""
    return {effect.send: effect.end for effect in effects if isinstance(effect, SendEnded)}


def starting() -> Turns:
    """The agent is not ready yet."""
    turns = Turns(TurnState(SimulatedCodec()))
    turns.start()
    told(turns)
    return turns


def idle() -> Turns:
    """The agent is ready."""
    turns = starting()
    hear(turns, {"say": "ready"})
    return turns


def running() -> Turns:
    """Send 1 was prompted as turn 1; the agent has not said yet that it works on it."""
    turns = idle()
    turns.send(1, "first")
    told(turns)
    return turns


def between_two_turns() -> Turns:
    """Send 1 has ended; send 2 was steered into its turn, and the agent has not said what became of it."""
    turns = running()
    turns.steer(2, "second")
    hear(turns, ENDED)
    assert turns.turn_state.state is ConversationState.RUNNING
    told(turns)
    return turns
