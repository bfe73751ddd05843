"""A backend that exists only in memory: its language (also the smallest example of a codec), and how it
behaves.

The language is one JSON object per line, `{"do": ...}` to the agent and `{"say": ...}` from it.
`SimulatedAgent` is a well-behaved agent as a pure state machine: lines in, lines out, nothing else. Faults
are done to it from outside, by whoever carries its lines (`tests/conversation/test_histories.py`,
`SimulatedTransport`).
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, ClassVar

from optio_agents.conversation.codecs.base import (
    BackendStartFailed,
    Codec,
    Folded,
    InterruptAcknowledged,
    Key,
    PermissionAsked,
    PermissionWithdrawn,
    Ready,
    Refused,
    Signal,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Capabilities, Event, TurnStatus

Record = dict[str, Any]


class SimulatedCodec(Codec):
    """The language. `capabilities` can be set on an object, to see what the turn rules make of them."""

    name = "simulated"
    capabilities: ClassVar[Capabilities] = Capabilities(steer=True, change_input=True, resume=True)

    def start(self) -> None:
        """Say hello."""
        self._write({"do": "start"})

    def prompt(self, send: int, text: str) -> int:
        """Say which turn it is to be."""
        turn = self._new_turn()
        self._write({"do": "prompt", "turn": turn, "send": send, "text": text})
        return turn

    def steer(self, send: int, text: str) -> None:
        """Say it."""
        self._write({"do": "steer", "send": send, "text": text})

    def interrupt(self) -> None:
        """Say it."""
        self._write({"do": "interrupt"})

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """Say it, with everything that was decided."""
        self._write(
            {"do": "decide", "key": key, "behavior": decision.behavior, "input": decision.updated_input}
        )

    def cancel_permission(self, key: Key) -> None:
        """Say it."""
        self._write({"do": "cancel", "key": key})

    def _record(self, record: Record, out: list[Event | Signal]) -> None:
        kind, turn = record.get("say"), record.get("turn")
        if kind == "adopted":
            turn = self._new_turn()
        out.append(Event(record, turn, record.get("text", "") if kind == "text" else ""))
        if kind == "ready":
            out.append(Ready(record.get("session")))
        elif kind == "failed to start":
            out.append(BackendStartFailed(record["reason"]))
        elif kind == "began" and turn is not None:
            out.append(TurnBegan(turn))
        elif kind == "adopted" and turn is not None:
            out.append(TurnBegan(turn, tuple(record["sends"])))
        elif kind == "asked":
            out.append(PermissionAsked(record["key"], turn, record["tool"], record["input"], record))
        elif kind == "withdrawn":
            out.append(PermissionWithdrawn(record["key"]))
        elif kind == "ended" and turn is not None:
            status = TurnStatus(record["status"])
            out.append(TurnFinished(turn, status, record["text"], record.get("error"), record))
        elif kind == "acknowledged" and turn is not None:
            out.append(InterruptAcknowledged(turn))
        elif kind == "folded" and turn is not None:
            out.append(Folded(record["send"], turn))
        elif kind == "refused":
            out.append(Refused(record["send"], record["reason"], record.get("lost_race", False)))


class SimulatedAgent:
    """A well-behaved agent. What a prompt says is what happens, one word after another, one `step` each:

    `say:WORD` prints text, `ask:TOOL` asks for permission and waits, `fail` ends the turn with an error,
    `hang` does nothing for ever. Other words are ignored. After the last one the turn ends.
    """

    def __init__(self, session: str = "s1", *, folds: bool = True) -> None:
        self.session = session
        self._folds = folds
        self._late: list[Record] = []
        self._highest = 0
        self.turn: int | None = None
        self.ran: list[str] = []
        """The tools that were allowed, with the input they ran with."""
        self._words: deque[str] = deque()
        self._said: list[str] = []
        self._waiting: str | None = None
        self._asked = 0
        self._inputs: dict[str, Record] = {}

    @property
    def busy(self) -> bool:
        """Whether `step` would do something."""
        return (
            self.turn is not None and self._waiting is None and not (self._words and self._words[0] == "hang")
        )

    def hear(self, line: bytes) -> list[Record]:
        """What it says at once to a line that it is told."""
        told = json.loads(line)
        handler = getattr(self, "_" + told["do"])
        answer: list[Record] = handler(told)
        return answer

    def step(self) -> list[Record]:
        """Go on with the running turn by one word."""
        if self.turn is None or self._waiting is not None:
            return []
        if not self._words:
            return self._end("completed")
        word = self._words[0]
        if word == "hang":
            return []
        self._words.popleft()
        kind, _, rest = word.partition(":")
        if kind == "say":
            self._said.append(rest)
            return [{"say": "text", "turn": self.turn, "text": rest + " "}]
        if kind == "ask":
            self._asked += 1
            self._waiting = f"p{self._asked}"
            self._inputs[self._waiting] = {"tool": rest}
            asked = {"say": "asked", "key": self._waiting, "turn": self.turn, "tool": rest}
            return [{**asked, "input": self._inputs[self._waiting]}]
        if kind == "fail":
            return self._end("failed", error=rest or "it failed")
        return []

    def _end(self, status: str, error: str | None = None) -> list[Record]:
        ended: Record = {"say": "ended", "turn": self.turn, "status": status, "text": " ".join(self._said)}
        self.turn = None
        self._words.clear()
        out: list[Record] = []
        if self._waiting is not None:
            out.append({"say": "withdrawn", "key": self._waiting})
            self._waiting = None
        out.append({**ended, "error": error})
        if self._late:
            self._highest += 1
            self.turn = self._highest
            self._words = deque(word for told in self._late for word in told["text"].split())
            self._said = []
            out.append({"say": "adopted", "sends": [told["send"] for told in self._late]})
            self._late.clear()
        return out

    def _start(self, told: Record) -> list[Record]:
        return [{"say": "ready", "session": self.session}]

    def _prompt(self, told: Record) -> list[Record]:
        if self.turn is not None:
            return [{"say": "refused", "send": told["send"], "reason": "busy"}]
        self.turn = self._highest = told["turn"]
        self._words = deque(told["text"].split())
        self._said = []
        return [{"say": "began", "turn": self.turn}]

    def _steer(self, told: Record) -> list[Record]:
        if self.turn is None:
            return [{"say": "refused", "send": told["send"], "reason": "no turn", "lost_race": True}]
        if not self._folds:
            self._late.append(told)
            return []
        self._words.extend(told["text"].split())
        return [{"say": "folded", "send": told["send"], "turn": self.turn}]

    def _interrupt(self, told: Record) -> list[Record]:
        if self.turn is None:
            return [{"say": "acknowledged"}]
        return [{"say": "acknowledged", "turn": self.turn}, *self._end("interrupted")]

    def _decide(self, told: Record) -> list[Record]:
        if told["key"] != self._waiting:
            return []
        self._waiting = None
        if told["behavior"] == "allow":
            given = told["input"] or self._inputs[told["key"]]
            self.ran.append(json.dumps(given, sort_keys=True))
            return [{"say": "ran", "turn": self.turn, "input": given}]
        return [{"say": "did not run", "turn": self.turn}]

    def _cancel(self, told: Record) -> list[Record]:
        if told["key"] != self._waiting:
            return []
        self._waiting = None
        return [{"say": "did not run", "turn": self.turn}]
