"""Claude Code: `claude -p --input-format stream-json --output-format stream-json`, one JSON object per line.

What the rules below rest on (measured with 2.1.330):

- The number of messages is not the number of results: messages that wait are merged into one turn, and one
  that arrives while a tool runs is folded into the running turn. So each message carries a uuid, and the
  `result` says which ones it answers (`user_message_uuids`).
- A `result` is no proof of success: API errors come as `subtype: "success"` with `is_error`. `ENDINGS` is the
  table.
- An interrupt is acknowledged first; the `result` follows. When nothing runs there is only the
  acknowledgement, and a message that was queued at that moment runs all the same: so an interrupt that came
  before `started` is said again then.
- A permission request that an interrupt overtakes is withdrawn with `control_cancel_request`.
- At the end of its input it finishes the turn and exits; a line that is not JSON kills it (we write none).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from optio_agents.conversation.codecs.base import (
    Answer,
    BackendStartFailed,
    Codec,
    Folded,
    InterruptAcknowledged,
    Key,
    PermissionAsked,
    PermissionWithdrawn,
    Ready,
    SessionNamed,
    Signal,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Capabilities, Event, TurnStatus

ENDINGS: dict[tuple[bool, str], TurnStatus] = {
    # (is_error, first word of terminal_reason)
    (False, "completed"): TurnStatus.COMPLETED,
    (False, "aborted"): TurnStatus.INTERRUPTED,
    (True, "aborted"): TurnStatus.INTERRUPTED,
    (True, "api"): TurnStatus.FAILED,
}
"""How a `result` ended its turn. What is not in the table: failed if `is_error`, else completed."""

MESSAGES_KEPT = 32
"""Of how many messages it is remembered to which turn they belong: late events name them."""

CANCELLED_MESSAGE = "The request was withdrawn: nobody will answer it any more."


class ClaudeCodec(Codec):
    """The stream-json language of Claude Code."""

    name = "claude"
    capabilities: ClassVar[Capabilities] = Capabilities(steer=True, change_input=True, resume=True)

    def __init__(self, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        super().__init__()
        self._new_id = new_id
        self._initialize = ""
        self._interrupts: dict[str, int] = {}
        self._turn: int | None = None
        self._began = False
        self._messages: dict[
            str, int
        ] = {}  # the uuids of the last messages whose turn is known, and that turn
        self._steers: dict[str, int] = {}  # by uuid, oldest first: sends whose turn is not known yet
        self._inputs: dict[Key, dict[str, Any]] = {}  # what open permission requests asked for
        self._answer = Answer()
        self._streamed = ""  # the message whose text has come in pieces already
        self._handlers = {
            "stream_event": self._stream_event,
            "assistant": self._assistant,
            "result": self._result,
            "system": self._system,
            "command_lifecycle": self._lifecycle,
            "control_request": self._control_request,
            "control_response": self._control_response,
            "control_cancel_request": self._control_cancel,
        }

    def start(self) -> None:
        """The `initialize` control request."""
        self._initialize = self._control({"subtype": "initialize", "hooks": None})

    def prompt(self, send: int, text: str) -> int:
        """A user message with a uuid, by which its `result` is known."""
        turn = self._begin()
        self._belongs([self._user(text)], turn)
        return turn

    def steer(self, send: int, text: str) -> None:
        """The same as a prompt: the agent decides whether it still fits into the running turn."""
        self._steers[self._user(text)] = send

    def interrupt(self) -> None:
        """The `interrupt` control request."""
        if self._turn is not None:
            self._interrupts[self._control({"subtype": "interrupt"})] = self._turn

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """Allow with the input that is to run, or deny with a message for the agent."""
        asked = self._inputs.pop(key, None)
        if asked is None:
            return
        if decision.behavior == "allow":
            changed = decision.updated_input
            self._respond(key, {"behavior": "allow", "updatedInput": asked if changed is None else changed})
        else:
            self._respond(key, {"behavior": "deny", "message": decision.message or "The user said no."})

    def cancel_permission(self, key: Key) -> None:
        """Deny; after an interrupt the agent ignores it."""
        if self._inputs.pop(key, None) is not None:
            self._respond(key, {"behavior": "deny", "message": CANCELLED_MESSAGE})

    def _begin(self) -> int:
        self._turn = self._new_turn()
        self._began = False
        self._answer.restart()
        return self._turn

    def _belongs(self, messages: Iterable[str], turn: int) -> None:
        recent = list(self._messages.items())[-MESSAGES_KEPT:]
        self._messages = {**dict(recent), **dict.fromkeys(messages, turn)}

    def _user(self, text: str) -> str:
        name = self._new_id()
        content = [{"type": "text", "text": text}]
        message = {"role": "user", "content": content}
        self._write(
            {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": "", "uuid": name}
        )
        return name

    def _control(self, request: dict[str, Any]) -> str:
        name = self._new_id()
        self._write({"type": "control_request", "request_id": name, "request": request})
        return name

    def _respond(self, key: Key, response: dict[str, Any]) -> None:
        body = {"subtype": "success", "request_id": key, "response": response}
        self._write({"type": "control_response", "response": body})

    def _record(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        kind = record.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            out.append(Event(record, self._turn))
        else:
            handler(record, out)

    def _stream_event(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        text = ""
        event = record.get("event")
        if isinstance(event, dict) and record.get("parent_tool_use_id") is None:
            delta = event.get("delta")
            if isinstance(delta, dict):
                piece = delta.get("text")
                if isinstance(piece, str):
                    text = piece
            elif event.get("type") == "message_start":
                self._streamed = _message_id(event)
        out.append(Event(record, self._turn, text))

    def _assistant(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        shown = ""
        if record.get("parent_tool_use_id") is None:
            text = _content_text(record)
            if text:
                self._answer.restart(text)
            if _message_id(record) != self._streamed:
                shown = text
        out.append(Event(record, self._turn, shown))

    def _system(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        out.append(Event(record, self._turn))
        if record.get("subtype") == "init":
            session = record.get("session_id")
            if isinstance(session, str):
                out.append(SessionNamed(session))
            self._note_beginning(out)

    def _lifecycle(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        turn = self._messages.get(str(record.get("command_uuid")), self._turn)
        out.append(Event(record, turn))
        if turn == self._turn and record.get("state") == "started":
            self._note_beginning(out)

    def _note_beginning(self, out: list[Event | Signal]) -> None:
        if self._turn is not None and not self._began:
            self._began = True
            out.append(TurnBegan(self._turn))

    def _result(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        answered = record.get("user_message_uuids")
        names = frozenset(map(str, answered)) if isinstance(answered, list) else frozenset()
        turn = self._turn
        ours = {name for name in names if self._messages.get(name) == turn or name in self._steers}
        if turn is None or (names and not ours):
            # A turn that the agent began by itself (a timer, a background task), or one whose end we know.
            out.append(Event(record))
            return
        out.append(Event(record, turn))
        for name in [name for name in self._steers if name in names]:
            self._belongs([name], turn)
            out.append(Folded(self._steers.pop(name), turn))
        out.append(self._finished(turn, record))
        self._turn = None
        self._inputs.clear()
        if self._steers:
            # They came too late for this turn: the agent runs them next, all in one turn.
            following = self._begin()
            self._belongs(self._steers, following)
            out.append(TurnBegan(following, tuple(self._steers.values())))
            self._steers.clear()

    def _finished(self, turn: int, record: dict[str, Any]) -> TurnFinished:
        failed = bool(record.get("is_error"))
        reason = str(record.get("terminal_reason") or "")
        word = reason.partition("_")[0]
        status = ENDINGS.get((failed, word), TurnStatus.FAILED if failed else TurnStatus.COMPLETED)
        text = record.get("result")
        if not isinstance(text, str):
            text = str(self._answer)
        error = (text or reason or str(record.get("subtype"))) if status is TurnStatus.FAILED else None
        return TurnFinished(turn, status, text, error, record)

    def _control_request(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        out.append(Event(record, self._turn))
        key, request = record.get("request_id"), record.get("request")
        if not isinstance(key, str) or not isinstance(request, dict):
            return
        if request.get("subtype") != "can_use_tool":
            # Hooks and in-process servers: nothing we offered, but it would wait for an answer for ever.
            error = {"subtype": "error", "request_id": key, "error": "not supported by this client"}
            self._write({"type": "control_response", "response": error})
            return
        asked = request.get("input")
        self._inputs[key] = asked if isinstance(asked, dict) else {}
        tool = str(request.get("tool_name") or "")
        out.append(PermissionAsked(key, self._turn, tool, self._inputs[key], record))

    def _control_response(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        response = record.get("response")
        response = response if isinstance(response, dict) else {}
        name = response.get("request_id")
        if name == self._initialize:
            self._initialize = ""
            out.append(Event(record))
            if response.get("subtype") == "success":
                out.append(Ready(None))
            else:
                out.append(BackendStartFailed(str(response.get("error"))))
            return
        turn = self._interrupts.pop(name, None) if isinstance(name, str) else None
        out.append(Event(record, turn if turn is not None else self._turn))
        if turn is not None:
            out.append(InterruptAcknowledged(turn))

    def _control_cancel(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        out.append(Event(record, self._turn))
        key = record.get("request_id")
        if isinstance(key, str) and self._inputs.pop(key, None) is not None:
            out.append(PermissionWithdrawn(key))


def _message_id(record: dict[str, Any]) -> str:
    message = record.get("message")
    return str(message.get("id")) if isinstance(message, dict) else ""


def _content_text(record: dict[str, Any]) -> str:
    message = record.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return ""
    blocks = (block for block in content if isinstance(block, dict) and block.get("type") == "text")
    return "".join(str(block.get("text", "")) for block in blocks)
