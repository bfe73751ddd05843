"""A backend that exists only in memory: its language (also the smallest example of a codec), and how it
behaves.

The language is one JSON object per line, `{"do": ...}` to the agent and `{"say": ...}` from it.
`SimulatedAgent` is a well-behaved agent as a pure state machine: lines in, lines out, nothing else. Faults
are done to it from outside, by the code that carries its lines (`tests/conversation/test_histories.py`,
`SimulatedTransport`).
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, ClassVar

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.codecs.base import (
    AgentTurnBegan,
    BackendStartFailed,
    BackgroundChanged,
    Codec,
    ControlAnswered,
    ControlsListed,
    Folded,
    InterruptAcknowledged,
    Key,
    PermissionAsked,
    QuestionAsked,
    Ready,
    Refused,
    RequestWithdrawn,
    Signal,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.controls import permission_mode_control
from optio_agents.conversation.requests import (
    AgentQuestion,
    Choice,
    QuestionAnswer,
    QuestionRequest,
)
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import BackgroundTask, Capabilities, Event, TurnStatus
from optio_agents.session_controls import ControlOption, SessionControl

Record = dict[str, Any]


class SimulatedCodec(Codec):
    """The language. `capabilities` can be set on an object, to see what the turn rules make of them."""

    name = "simulated"
    capabilities: ClassVar[Capabilities] = Capabilities(steer=True, change_input=True, resume=True)

    def __init__(self) -> None:
        super().__init__()
        self.own: dict[str, int] = {}
        """The turns that the agent has begun by itself (w...) or with what was to steer (a...), by its own names."""

    def start(self) -> None:
        """Say hello."""
        self._write({"do": "start"})

    def prompt(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> int:
        """Set which turn it is."""
        turn = self._new_turn()
        self._write({"do": "prompt", "turn": turn, "send": send, "text": text})
        return turn

    def steer(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> None:
        """Say it."""
        self._write({"do": "steer", "send": send, "text": text})

    def interrupt(self, turn: int) -> None:
        """Say it."""
        self._write({"do": "interrupt"})

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """Say it, with everything that was decided."""
        self._write(
            {"do": "decide", "key": key, "behavior": decision.behavior, "input": decision.updated_input}
        )

    def answer(self, key: Key, answer: QuestionAnswer) -> None:
        """Say it."""
        answers = None if answer.answers is None else dict(answer.answers)
        self._write({"do": "answer", "key": key, "answers": answers, "reason": answer.reason})

    def cancel_request(self, key: Key) -> None:
        """Say it."""
        self._write({"do": "cancel", "key": key})

    def list_controls(self) -> list[Signal]:
        """Ask for them."""
        self._write({"do": "controls"})
        return []

    def set_control(self, change: int, control: str, value: str | bool) -> list[Signal]:
        """Say it."""
        self._write({"do": "set", "change": change, "mode": value})
        return []

    def _record(self, record: Record, out: list[Event | Signal]) -> None:
        kind, turn = record.get("say"), record.get("turn")
        is_new = False
        if kind == "adopted" and "own" not in record:
            turn = self._new_turn()
        elif "own" in record:
            is_new = kind in ("woke", "adopted") and record["own"] not in self.own
            turn = self.own[record["own"]] = self._new_turn() if is_new else self.own.get(record["own"], 0)
        out.append(Event(record, turn, record.get("text", "") if kind == "text" else ""))
        if kind == "ready":
            out.append(Ready(record.get("session")))
        elif kind == "failed to start":
            out.append(BackendStartFailed(record["reason"]))
        elif kind == "began" and turn is not None:
            out.append(TurnBegan(turn))
        elif kind == "woke" and is_new and turn is not None:
            out.append(AgentTurnBegan(turn))
        elif kind == "adopted" and turn is not None and (is_new or "own" not in record):
            out.append(TurnBegan(turn, tuple(record["sends"])))
        elif kind == "asked":
            asker = record.get("asker")
            out.append(
                PermissionAsked(
                    record["key"], turn, record["tool"], record["input"], record, asker, ("once", "session")
                )
            )
        elif kind == "questioned":
            question = AgentQuestion("q", record["text"], choices=(Choice("yes"), Choice("no")))
            out.append(
                QuestionAsked(record["key"], QuestionRequest("questions", "", (question,), record, turn))
            )
        elif kind == "background":
            out.append(BackgroundChanged(tuple(BackgroundTask(key, "task", key) for key in record["tasks"])))
        elif kind == "controls":
            out.append(ControlsListed((simulated_control(record["mode"]),), complete=not record.get("news")))
        elif kind == "set":
            out.append(ControlAnswered(record["change"], record["reason"]))
        elif kind == "withdrawn":
            out.append(RequestWithdrawn(record["key"]))
        elif kind == "ended" and turn is not None:
            status = TurnStatus(record["status"])
            out.append(TurnFinished(turn, status, record["text"], record.get("error"), record))
        elif kind == "acknowledged" and turn is not None:
            out.append(InterruptAcknowledged(turn))
        elif kind == "folded" and turn is not None:
            out.append(Folded(record["send"], turn))
        elif kind == "refused":
            out.append(Refused(record["send"], record["reason"], record.get("lost_race", False)))


def simulated_control(mode: str) -> SessionControl:
    """The only control of the simulated agent. It refuses the mode `root`."""
    return permission_mode_control([ControlOption(value, value) for value in ("ask", "plan", "root")], mode)


class SimulatedAgent:
    """A well-behaved agent. What a prompt says is what happens, one word after another, one `step` each:

    `say:WORD` prints text, `ask:TOOL` asks for permission and waits, `question:TEXT` asks its user and waits,
    `sub:TOOL` lets a subagent ask and goes on, `later:WORD` leaves work in the background that begins a turn with that
    word once
    nothing runs, `fail` ends the turn with an error, `hang` does nothing for ever. Other words are ignored. After the
    last one the turn ends.

    `folds`: what is steered becomes part of the running turn, else the next one. `joins`: a prompt that comes in a turn
    of its own becomes part of that, else it waits for its end.
    """

    def __init__(self, session: str = "s1", *, folds: bool = True, joins: bool = False) -> None:
        self.session = session
        self._folds = folds
        self._joins = joins
        self._late: list[Record] = []
        self._waiting_prompt: Record | None = None
        self._later: list[str] = []
        self._tag: Record = {}
        self._sends: list[int] = []
        self.turn: int | None = None
        """A turn runs: its number, 0 for one that has none because no prompt began it."""
        self.mode = "ask"
        self.ran: list[str] = []
        """The tools that were allowed, with the input they ran with."""
        self._words: deque[str] = deque()
        self._said: list[str] = []
        self._waiting: str | None = None
        self._subagents: set[str] = set()
        self._asked = 0
        self._owns = 0
        self._adopted = 0
        self._inputs: dict[str, Record] = {}

    @property
    def busy(self) -> bool:
        """Whether `step` would do something."""
        if self.turn is None:
            return bool(self._later)
        return self._waiting is None and not (self._words and self._words[0] == "hang")

    def hear(self, line: bytes) -> list[Record]:
        """Its immediate answer to an input line."""
        told = json.loads(line)
        handler = getattr(self, "_" + told["do"])
        answer: list[Record] = handler(told)
        return answer

    def step(self) -> list[Record]:
        """Go on with the running turn by one word, or begin one with what was left in the background."""
        if not self.busy:
            return []
        if self.turn is None:
            return self.wake(self._later.pop(0).replace("+", " "))
        if not self._words:
            return self._end("completed")
        kind, _, rest = self._words.popleft().partition(":")
        if kind == "say":
            self._said.append(rest)
            return [{"say": "text", **self._tag, "text": rest + " "}]
        if kind in ("ask", "question", "sub"):
            return [self._ask(kind, rest)]
        if kind == "later":
            self._later.append(rest)
            return [{"say": "background", "tasks": list(self._later)}]
        if kind == "fail":
            return self._end("failed", error=rest or "it failed")
        return []

    def wake(self, text: str) -> list[Record]:
        """Begin a turn by itself, if none runs."""
        if self.turn is not None:
            return []
        self._owns += 1
        self._begin(0, {"own": f"w{self._owns}"}, text, [])
        return [{"say": "background", "tasks": list(self._later)}, {"say": "woke", **self._tag}]

    def withdraw(self) -> list[Record]:
        """A subagent does not need its answer any more."""
        return [{"say": "withdrawn", "key": self._subagents.pop()}] if self._subagents else []

    def _ask(self, kind: str, what: str) -> Record:
        self._asked += 1
        key = f"p{self._asked}"
        if kind == "question":
            self._waiting = key
            return {"say": "questioned", "key": key, **self._tag, "text": what}
        self._inputs[key] = {"tool": what}
        asked = {"say": "asked", "key": key, **self._tag, "tool": what, "input": self._inputs[key]}
        if kind == "sub":
            self._subagents.add(key)
            return {**asked, "asker": "a subagent"}
        self._waiting = key
        return asked

    def _begin(self, turn: int, tag: Record, text: str, sends: list[int]) -> None:
        self.turn, self._tag, self._sends = turn, tag, sends
        self._words = deque(text.split())
        self._said = []

    def _end(self, status: str, error: str | None = None) -> list[Record]:
        ended: Record = {"say": "ended", **self._tag, "status": status, "text": " ".join(self._said)}
        self.turn = None
        self._words.clear()
        out: list[Record] = []
        if self._waiting is not None:
            out.append({"say": "withdrawn", "key": self._waiting})
            self._waiting = None
        out.append({**ended, "error": error, "answers": self._sends})
        prompt, late = self._waiting_prompt, self._late
        self._waiting_prompt, self._late = None, []
        sends, text = [told["send"] for told in late], " ".join(told["text"] for told in late)
        if prompt is not None:
            tag = {"turn": prompt["turn"]}
            self._begin(prompt["turn"], tag, f"{prompt['text']} {text}", [prompt["send"], *sends])
            out += ({"say": "began", **tag}, *({"say": "folded", "send": send, **tag} for send in sends))
        elif late:
            self._adopted += 1
            self._begin(0, {"own": f"a{self._adopted}"}, text, sends)
            out.append({"say": "adopted", **self._tag, "sends": sends})
        return out

    def _start(self, told: Record) -> list[Record]:
        return [{"say": "ready", "session": self.session}]

    def _prompt(self, told: Record) -> list[Record]:
        if self.turn == 0 and self._waiting_prompt is None:
            if not self._joins:
                self._waiting_prompt = told
                return []
            self._words.extend(told["text"].split())
            self._sends.append(told["send"])
            return [{"say": "folded", "send": told["send"], **self._tag}]
        if self.turn is not None:
            return [{"say": "refused", "send": told["send"], "reason": "busy"}]
        self._begin(told["turn"], {"turn": told["turn"]}, told["text"], [told["send"]])
        return [{"say": "began", **self._tag}]

    def _steer(self, told: Record) -> list[Record]:
        if self.turn is None:
            return [{"say": "refused", "send": told["send"], "reason": "no turn", "lost_race": True}]
        if not self._folds:
            self._late.append(told)
            return []
        self._words.extend(told["text"].split())
        self._sends.append(told["send"])
        return [{"say": "folded", "send": told["send"], **self._tag}]

    def _interrupt(self, told: Record) -> list[Record]:
        if self.turn is None:
            return [{"say": "acknowledged"}]
        return [{"say": "acknowledged", **self._tag}, *self._end("interrupted")]

    def _controls(self, told: Record) -> list[Record]:
        return [{"say": "controls", "mode": self.mode}]

    def _set(self, told: Record) -> list[Record]:
        if told["mode"] == "root":
            return [{"say": "set", "change": told["change"], "reason": "not as root"}]
        self.mode = told["mode"]
        news = {"say": "controls", "mode": self.mode, "news": True}
        return [news, {"say": "set", "change": told["change"], "reason": None}]

    def _decide(self, told: Record) -> list[Record]:
        if not self._settles(told["key"]):
            return []
        if told["behavior"] == "allow":
            given = told["input"] or self._inputs[told["key"]]
            self.ran.append(json.dumps(given, sort_keys=True))
            return [{"say": "ran", "input": given}]
        return [{"say": "did not run"}]

    def _answer(self, told: Record) -> list[Record]:
        return [{"say": "heard", "answers": told["answers"]}] if self._settles(told["key"]) else []

    def _cancel(self, told: Record) -> list[Record]:
        return [{"say": "did not run"}] if self._settles(told["key"]) else []

    def _settles(self, key: str) -> bool:
        if key in self._subagents:
            self._subagents.remove(key)
            return True
        if key != self._waiting:
            return False
        self._waiting = None
        return True
