"""Play a recorded dialogue with a real backend against a codec.

Each line that was written to the backend then is a command to the codec now; what the codec writes must say
the same, its own ids apart. Each line that the backend printed goes into the codec, with the ids that the
codec chose this time in the place of those of the recording.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from optio_agents.conversation.codecs.acp_controls import CATEGORIES
from optio_agents.conversation.codecs.base import Codec, Signal, TurnBegan, TurnFinished
from optio_agents.conversation.codecs.codex_controls import PARAMETERS
from optio_agents.conversation.controls import EFFORT, MODEL, PERMISSION_MODE
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Event

TRANSCRIPTS = Path(__file__).parents[1] / "conversation" / "transcripts"

CLAUDE_CONTROLS: dict[str, tuple[str, ...]] = {
    "set_model": (MODEL, "model"),
    "apply_flag_settings": (EFFORT, "settings", "effortLevel"),
    "set_permission_mode": (PERMISSION_MODE, "mode"),
}
"""The control that a recorded request sets, and where the value is in it."""

ACP_CONTROLS: dict[str, tuple[str, str]] = {
    "session/set_mode": (PERMISSION_MODE, "modeId"),
    "session/set_model": (MODEL, "modelId"),
    "session/set_config_option": ("", "value"),
}

Record = dict[str, Any]
S = TypeVar("S")


def load(name: str) -> list[tuple[str, Any]]:
    """The `(direction, record)` pairs of one recording; direction is in, out or meta."""
    lines = (TRANSCRIPTS / f"{name}.jsonl").read_text().splitlines()
    return [(entry["dir"], entry["line"]) for entry in map(json.loads, lines)]


@dataclass
class Replay:
    """One recording played against one codec."""

    codec: Codec
    events: list[Event] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    expected: list[Record] = field(default_factory=list)
    written: list[tuple[Record, Record]] = field(default_factory=list)
    """(recorded, ours) pairs of what was written to the backend."""
    changes: int = 0
    """How many controls were set."""
    _ids: dict[str | int, str | int] = field(default_factory=dict)
    _unmatched: list[Record] = field(default_factory=list)
    _running: int | None = None
    _sends: int = 0

    def play(self, name: str) -> Replay:
        """Play all of it; returns itself."""
        for direction, record in load(name):
            if direction == "in" and isinstance(record, dict):
                self._command(record)
                self._match(record)
            elif direction == "out" and isinstance(record, dict):
                told = self._translated(record)
                self.expected.append(told)
                for item in self.codec.receive(json.dumps(told).encode() + b"\n"):
                    self._note(item)
        return self

    def finished(self) -> list[tuple[str, str]]:
        """Status and text of each turn that ended."""
        return [(each.status.value, each.text) for each in self.of(TurnFinished)]

    def of(self, kind: type[S]) -> list[S]:
        """The signals of one kind."""
        return [signal for signal in self.signals if isinstance(signal, kind)]

    def text(self, turn: int) -> str:
        """The streamed text of one turn."""
        return "".join(event.text for event in self.events if event.turn == turn)

    def _note(self, item: Event | Signal) -> None:
        if isinstance(item, Event):
            self.events.append(item)
            return
        self.signals.append(item)
        if isinstance(item, TurnFinished) and item.turn == self._running:
            self._running = None
        elif isinstance(item, TurnBegan):
            self._running = item.turn

    def _command(self, record: Record) -> None:
        method, kind = record.get("method"), record.get("type")
        subtype = record.get("request", {}).get("subtype")
        if "initialize" in (method, subtype):
            self.codec.start()
        elif kind == "user":
            self._send(_text(record["message"]["content"]))
        elif method in ("turn/start", "turn/steer"):
            for control, parameter in PARAMETERS.items():
                if parameter in record["params"]:
                    self._set_control(control, record["params"][parameter])
            self._send(_text(record["params"]["input"]))
        elif subtype == "get_settings" or method == "model/list":
            self._note_all(self.codec.list_controls())
        elif subtype in CLAUDE_CONTROLS:
            control, *path = CLAUDE_CONTROLS[subtype]
            value = record["request"]
            for name in path:
                value = value[name]
            self._set_control(control, value)
        elif method in ACP_CONTROLS:
            control, name = ACP_CONTROLS[method]
            self._note_all(self.codec.list_controls())
            self._set_control(control or CATEGORIES[record["params"]["configId"]], record["params"][name])
        elif method == "session/prompt":
            self._send(_text(record["params"]["prompt"]))
        elif method in ("turn/interrupt", "session/cancel") or subtype == "interrupt":
            self.codec.interrupt(self._running or 0)
        elif kind == "control_response" and record["response"]["subtype"] == "success":
            answer = record["response"]["response"]
            decision = PermissionDecision(
                answer["behavior"], answer.get("updatedInput"), answer.get("message")
            )
            self.codec.decide(record["response"]["request_id"], decision)
        elif method is None and "result" in record:
            self._answer(record)

    def _answer(self, record: Record) -> None:
        result = record["result"]
        chosen = result.get("decision") or result.get("outcome", {}).get("optionId") or "cancel"
        if chosen in ("accept", "allow", "once", "proceed_once", "always", "allow_always", "proceed_always"):
            self.codec.decide(record["id"], PermissionDecision("allow"))
        elif chosen in ("decline", "reject") or "optionId" in result.get("outcome", {}):
            self.codec.decide(record["id"], PermissionDecision("deny"))
        else:
            self.codec.cancel_request(record["id"])

    def _set_control(self, control: str, value: str) -> None:
        self.changes += 1
        self._note_all(self.codec.set_control(self.changes, control, value))

    def _note_all(self, signals: list[Signal]) -> None:
        for signal in signals:
            self._note(signal)

    def _send(self, text: str) -> None:
        self._sends += 1
        if self._running is None:
            self._running = self.codec.prompt(self._sends, text)
        else:
            self.codec.steer(self._sends, text)

    def _match(self, recorded: Record) -> None:
        self._unmatched += [json.loads(line) for line in self.codec.take_output().splitlines()]
        for ours in self._unmatched:
            if _what(ours) == _what(recorded):
                self._unmatched.remove(ours)
                self.written.append((recorded, ours))
                for name in ("id", "request_id", "uuid"):
                    if name in recorded and name in ours:
                        self._ids[recorded[name]] = ours[name]
                return

    def _translated(self, record: Record) -> Record:
        translated = {key: self._deep(value) for key, value in record.items()}
        if "method" not in record and isinstance(record.get("id"), int):
            translated["id"] = self._ids.get(record["id"], 10_000 + record["id"])
        return translated

    def _deep(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._deep(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._deep(each) for each in value]
        return self._ids.get(value, value) if isinstance(value, str) else value


def _text(content: Any) -> str:
    return content if isinstance(content, str) else str(content[0]["text"])


def _what(record: Record) -> tuple[object, ...]:
    """What kind of line this is, without ids and contents."""
    subtype = record.get("request", {}).get("subtype")
    answers = record.get("id") if "result" in record else None
    answered = record.get("response", {}).get("request_id")
    method = record.get("method")
    # A prompt in the middle of a turn steers it; the recording shows that both requests do.
    return (
        "turn/start" if method == "turn/steer" else method,
        record.get("type"),
        subtype,
        answers,
        answered,
    )
