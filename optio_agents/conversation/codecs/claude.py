"""Claude Code: `claude -p --input-format stream-json --output-format stream-json`, one JSON object per line.

The facts behind the rules below (measured with 2.1.330):

- The number of messages is not the number of results: waiting messages are merged into one turn, and a message that
  arrives while a tool runs is merged into the running turn. So each message carries a uuid, and the `result` lists the
  ones that it answers (`user_message_uuids`; see `claude_turns.py`).
- It begins turns on its own when a background shell or subagent ends, also one that died with an earlier process of the
  session. Their `init` and `result` name no message of ours, and the `result` has an `origin`. A message that arrives
  meanwhile waits (`command_lifecycle` `queued`, then `started`), or is merged in.
- `background_tasks_changed` lists what is open in the background.
- A `result` does not prove success: API errors come as `subtype: "success"` with `is_error`. `ENDINGS` is the table.
- An interrupt is acknowledged first; the `result` follows. When nothing runs there is only the acknowledgement, and a
  message that was queued at that time still runs. So an interrupt that came before `started` is sent again then.
- A uuid that the session knows from an earlier process is `completed` at once: the message is not answered again.
- A request that an interrupt overtakes is withdrawn with `control_cancel_request`. A subagent's request stays open
  after the turn.
- At the end of its input it finishes the turn and exits; a line that is not JSON kills it (we write none).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.codecs.base import (
    Answer,
    BackendStartFailed,
    BackgroundChanged,
    Codec,
    InterruptAcknowledged,
    Key,
    Ready,
    RequestWithdrawn,
    SessionNamed,
    Signal,
    TurnFinished,
)
from optio_agents.conversation.codecs.claude_controls import GET_SETTINGS, REQUESTS, ClaudeControls
from optio_agents.conversation.codecs.claude_requests import ClaudeRequests
from optio_agents.conversation.codecs.claude_turns import ClaudeTurns, Out, names_in
from optio_agents.conversation.codecs.contents import claude_content
from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.codecs.mcp_forms import claude_servers
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import BackgroundTask, Capabilities, Event, TurnResult, TurnStatus
from optio_agents.conversation.views.claude import CLAUDE
from optio_agents.conversation.views.outcome import outcome_in

ENDINGS: dict[tuple[bool, str], TurnStatus] = {
    # (is_error, first word of terminal_reason)
    (False, "completed"): TurnStatus.COMPLETED,
    (False, "aborted"): TurnStatus.INTERRUPTED,
    (True, "aborted"): TurnStatus.INTERRUPTED,
    (True, "api"): TurnStatus.FAILED,
}
"""How a `result` ended its turn. What is not in the table: failed if `is_error`, else completed."""

TASKS_KEPT = 256
"""How many background tasks are listed."""

NAMES_KEPT = 1024
"""Of how many messages the owner's ids are remembered: the agent drops a second message of the same id in silence."""

LOST_REQUEST = re.compile(r'"type": ?"control_request".*?"request_id": ?"([^"\\]{1,200})"|'
                          r'"request_id": ?"([^"\\]{1,200})".*?"type": ?"control_request"', re.DOTALL)  # fmt: skip
LOST_RESULT = re.compile(r'"type": ?"result"')
LOST_LINE = "the line was too long to be read"


class ClaudeCodec(Codec):
    """The stream-json language of Claude Code."""

    name = "claude"
    capabilities: ClassVar[Capabilities] = Capabilities(
        steer=True,
        change_input=True,
        resume=True,
        fork=True,
        list_sessions=True,
        images=True,
        files=True,
        answer_schema=True,
        deny_message=True,
    )

    def __init__(self, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        super().__init__()
        self._new_id = new_id
        self._initialize = ""  # the name of the request on which it depends whether we are ready
        self._servers_told = False
        self._names: dict[str, None] = {}  # those that the owner gave to the last messages
        self._interrupts: dict[str, int] = {}
        self._requests = ClaudeRequests()
        self._controls = ClaudeControls()
        self._task_names: dict[str, str] = {}
        self._answer = Answer()
        self._turns_open = ClaudeTurns(self._new_turn, self._answer)
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
        """The `initialize` control request, then `mcp_set_servers` if there are any."""
        schema = {} if self.answer_schema is None else {"jsonSchema": self.answer_schema}
        self._initialize = self._control({"subtype": "initialize", "hooks": None, **schema})

    def why_not(self, extras: Extras) -> str | None:
        """The schema of answers is set at the start only (measured: a later `initialize` changes nothing)."""
        if extras.schema is not None and extras.schema != self.answer_schema:
            return (
                "it takes the schema of its answers when it starts: open_conversation(..., answer_schema=...)"
            )
        return super().why_not(extras)

    def answer_data(self, result: TurnResult) -> Any:
        """`structured_output` of the `result`."""
        raw = result.raw or {}
        if "structured_output" not in raw:
            raise ValueError("it has not given one")
        return raw["structured_output"]

    def prompt(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> int:
        """A user message with a uuid (`extras.name`, unless it was used before), by which its `result` is known."""
        return self._turns_open.prompt(send, self._user(text, extras))

    def steer(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> None:
        """The same as a prompt: the agent decides whether it still belongs to the running turn."""
        self._turns_open.steer(send, self._user(text, extras))

    def interrupt(self, turn: int) -> None:
        """The `interrupt` control request. It stops the running turn, if there is one."""
        if turn in (self._turns_open.ours, self._turns_open.own):
            self._interrupts[self._control({"subtype": "interrupt"})] = turn

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """Allow with the input for the tool, or deny with a message for the agent."""
        self._respond(key, self._requests.decide(key, decision))

    def answer(self, key: Key, answer: QuestionAnswer) -> None:
        """Answer a question, a plan or an elicitation."""
        self._respond(key, self._requests.answer(key, answer))

    def cancel_request(self, key: Key) -> None:
        """Deny; after an interrupt the agent ignores it."""
        self._respond(key, self._requests.cancel(key))

    def list_controls(self) -> list[Signal]:
        """`get_settings`: the rest is in the response to `initialize`."""
        self._controls.note_listing(self._control(GET_SETTINGS))
        return []

    def set_control(self, change: int, control: str, value: str | bool) -> list[Signal]:
        """The control request that sets it."""
        value = str(value)
        self._controls.note_change(self._control(REQUESTS[control](value)), change, control, value)
        return []

    def _current_turn(self) -> int | None:
        return self._turns_open.current

    def _turn_of(self, record: dict[str, Any]) -> int | None:
        return self._turns_open.of(record)

    def _user(self, text: str, extras: Extras) -> str:
        name = extras.name
        if name is None or name in self._names:
            name = self._new_id()
        else:
            self._names = {**dict(list(self._names.items())[1 - NAMES_KEPT :]), name: None}
        message = {"role": "user", "content": claude_content(text, extras)}
        self._write(
            {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": "", "uuid": name}
        )
        return name

    def _control(self, request: dict[str, Any]) -> str:
        name = self._new_id()
        self._write({"type": "control_request", "request_id": name, "request": request})
        return name

    def _respond(self, key: Key, response: dict[str, Any] | None) -> None:
        if response is not None:
            body = {"subtype": "success", "request_id": key, "response": response}
            self._write({"type": "control_response", "response": body})

    def _respond_error(self, key: Key, error: str) -> None:
        body = {"subtype": "error", "request_id": key, "error": error}
        self._write({"type": "control_response", "response": body})

    def _record(self, record: dict[str, Any], out: Out) -> None:
        kind = record.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            out.append(Event(record, self._turn_of(record)))
        else:
            handler(record, out)

    # Records of the agent.

    def _stream_event(self, record: dict[str, Any], out: Out) -> None:
        # There is one for each piece of text, so this avoids unnecessary calls.
        turns, text = self._turns_open, ""
        event = record.get("event")
        if isinstance(event, dict) and record.get("parent_tool_use_id") is None:
            delta = event.get("delta")
            if isinstance(delta, dict):
                piece = delta.get("text")
                if isinstance(piece, str):
                    text = piece
            elif event.get("type") == "message_start":
                self._streamed = _message_id(event)
        turn = turns.of(record) if "user_message_uuids" in record else turns.current
        out.append(Event(record, turn, text))

    def _assistant(self, record: dict[str, Any], out: Out) -> None:
        shown = ""
        message = record.get("message")
        blocks = dicts_of(message.get("content")) if isinstance(message, dict) else []
        for block in blocks:
            if block.get("type") == "tool_use":
                self._requests.note_tool_use(block)
        if record.get("parent_tool_use_id") is None:
            text = "".join(text_of(block.get("text")) for block in blocks if block.get("type") == "text")
            if text:
                self._answer.restart(text)
            if _message_id(record) != self._streamed:
                shown = text
        out.append(Event(record, self._turn_of(record), shown))

    def _system(self, record: dict[str, Any], out: Out) -> None:
        subtype = record.get("subtype")
        if subtype != "init":
            out.append(Event(record, self._turn_of(record)))
            if subtype == "background_tasks_changed":
                self._background(record, out)
            elif subtype == "status":
                out += self._controls.note_turn(record)
            return
        signals: Out = []
        if not self._initialize:  # One that comes before it takes prompts begins no turn.
            self._turns_open.note_init(record, signals)
        out.append(Event(record, self._turn_of(record)))
        session = record.get("session_id")
        if isinstance(session, str):
            out.append(SessionNamed(session))
        out += signals
        out += self._controls.note_turn(record)

    def _background(self, record: dict[str, Any], out: Out) -> None:
        tasks = tuple(
            BackgroundTask(
                text_of(each.get("task_id")), text_of(each.get("task_type")), text_of(each.get("description"))
            )
            for each in dicts_of(record.get("tasks"))[:TASKS_KEPT]
        )
        self._task_names = {task.key: task.description for task in tasks}
        out.append(BackgroundChanged(tasks))

    def _lifecycle(self, record: dict[str, Any], out: Out) -> None:
        self._turns_open.note_lifecycle(record, out)

    def _result(self, record: dict[str, Any], out: Out) -> None:
        names = set(names_in(record))
        signals: Out = []
        turn = self._turns_open.result(names, isinstance(record.get("origin"), dict), signals)
        if turn is None:
            # The end of a turn whose end is known already.
            out.append(Event(record, self._turn_of(record) if names else None))
            return
        out += (Event(record, turn), *signals, self._finished(turn, record))
        self._turns_open.end(turn, out)

    def _finished(self, turn: int, record: dict[str, Any]) -> TurnFinished:
        failed = bool(record.get("is_error"))
        reason = text_of(record.get("terminal_reason"))
        word = reason.partition("_")[0]
        status = ENDINGS.get((failed, word), TurnStatus.FAILED if failed else TurnStatus.COMPLETED)
        text = record.get("result")
        if not isinstance(text, str):
            text = str(self._answer)
        error = (text or reason or text_of(record.get("subtype"))) if status is TurnStatus.FAILED else None
        return TurnFinished(turn, status, text, error, record, outcome_in(CLAUDE, record))

    # Requests.

    def _control_request(self, record: dict[str, Any], out: Out) -> None:
        turn = self._turn_of(record)
        out.append(Event(record, turn))
        key, request = record.get("request_id"), record.get("request")
        if not isinstance(key, str) or not isinstance(request, dict):
            return
        asked = self._requests.open(key, request, record, turn, self._task_names)
        if asked is None:
            # Hooks and in-process servers: nothing we offered, but it would wait for an answer for ever.
            self._respond_error(key, "not supported by this client")
        else:
            out.append(asked)

    def _control_response(self, record: dict[str, Any], out: Out) -> None:
        response = record.get("response")
        response = response if isinstance(response, dict) else {}
        name = response.get("request_id")
        if name == self._initialize and name:
            self._initialize = ""
            out.append(Event(record))
            self._started(response, out)
            return
        turn = self._interrupts.pop(name, None) if isinstance(name, str) else None
        out.append(Event(record, turn if turn is not None else self._current_turn()))
        if turn is not None:
            out.append(InterruptAcknowledged(turn))
        out += self._controls.answered(text_of(name), response)

    def _started(self, response: dict[str, Any], out: Out) -> None:
        if response.get("subtype") != "success":
            out.append(BackendStartFailed(str(response.get("error"))))
            return
        if not self._servers_told:
            self._controls.note_initialized(response.get("response"))
        if self.mcp_servers and not self._servers_told:
            self._servers_told = True
            servers = claude_servers(self.mcp_servers)
            self._initialize = self._control({"subtype": "mcp_set_servers", "servers": servers})
        else:
            out.append(Ready(None))

    def _control_cancel(self, record: dict[str, Any], out: Out) -> None:
        out.append(Event(record, self._current_turn()))
        key = record.get("request_id")
        if self._requests.withdraw(key):
            out.append(RequestWithdrawn(str(key)))

    def _lost(self, line: dict[str, Any], out: Out) -> None:
        for part in (text_of(line.get("line")), text_of(line.get("tail"))):
            if found := LOST_REQUEST.search(part):
                self._respond_error(found[1] or found[2], LOST_LINE)
                return
            if LOST_RESULT.search(part) and (turn := self._current_turn()) is not None:
                out.append(TurnFinished(turn, TurnStatus.FAILED, str(self._answer), LOST_LINE, line))
                self._turns_open.end(turn, out)
                return


def _message_id(record: dict[str, Any]) -> str:
    message = record.get("message")
    return text_of(message.get("id")) if isinstance(message, dict) else ""
