"""Codex: `codex app-server`. JSON-RPC whose output lacks the `jsonrpc` field.

The facts behind the rules below (measured with 0.169.0):

- A turn has an id, which is in the response to `turn/start`. Events carry it, and `turn/completed` ends it (the thread
  reports itself idle *before* that, so idle proves nothing).
- `turn/started` can come before the response to `turn/start`.
- It begins turns on its own while a goal is open: `turn/started` has an id that was in no response. A `turn/start` that
  arrives meanwhile is merged into that turn: the response has the turn's id.
- Subagents are threads of their own; the `rootTurnId` of their turns is the turn of ours that they work for.
- `turn/steer` merges a message into the running turn: there is one `turn/completed` for both. It aborts the running
  stream, whose item is then never completed.
- A turn can be interrupted and steered from `turn/started` on; between the response to `turn/start` and that,
  the answer is "no active turn". An interrupt leaves the shell command of a running tool alive.
- Requests count their ids from 0, in a space of their own, and are answered with a decision, never with other input.
  An interrupt also resolves the requests of its turn.
- At the end of its input it exits at once, in the middle of a turn too.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeGuard

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.codecs.base import (
    AgentTurnBegan,
    Answer,
    BackendStartFailed,
    ControlAnswered,
    Folded,
    InterruptAcknowledged,
    Key,
    Ready,
    Refused,
    RequestWithdrawn,
    Signal,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.codex_controls import CodexControls
from optio_agents.conversation.codecs.codex_requests import CodexRequests
from optio_agents.conversation.codecs.codex_work import CodexWork
from optio_agents.conversation.codecs.contents import codex_input, strict_schema
from optio_agents.conversation.codecs.forms import text_of
from optio_agents.conversation.codecs.jsonrpc import CLIENT_INFO, JsonRpcCodec, Out, RpcError
from optio_agents.conversation.codecs.mcp_forms import codex_servers
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Capabilities, Event, TurnStatus
from optio_agents.conversation.views.codex import CODEX, added_usage
from optio_agents.conversation.views.outcome import outcome_in
from optio_agents.conversation.views.usage import Usage

ENDINGS = {
    # status of a completed turn
    "completed": TurnStatus.COMPLETED,
    "interrupted": TurnStatus.INTERRUPTED,
    "failed": TurnStatus.FAILED,
}
"""How `turn/completed` ended its turn. A status that is not in the table: failed."""

TURNS_KEPT = 64
"""Of how many turns the ids are remembered."""


class CodexCodec(JsonRpcCodec):
    """The app-server protocol of Codex. `thread` is the id of one to resume."""

    name = "codex"
    capabilities: ClassVar[Capabilities] = Capabilities(
        steer=True, resume=True, fork=True, list_sessions=True, images=True, answer_schema=True
    )
    envelope: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        *,
        cwd: str,
        thread: str | None = None,
        fork: bool = False,
        approval_policy: str = "untrusted",
        sandbox: str = "danger-full-access",
    ) -> None:
        super().__init__()
        self._cwd = cwd
        self._thread = thread
        self._open_by = "thread/fork" if fork else "thread/resume"
        self._policy = {"approvalPolicy": approval_policy, "sandbox": sandbox}
        self._ours: int | None = None  # the turn of the outstanding prompt
        self._ours_id: str | None = None
        self._started = False
        self._own: int | None = None  # a turn that the agent has begun by itself and not ended
        self._own_id: str | None = None
        # The last turns by their ids; those of subagents with the turn of ours for which they work.
        self._known: dict[str, int] = {}
        self._work = CodexWork()
        self._steers_wait: list[tuple[int, str, Extras]] = []
        self._requests = CodexRequests()
        self._controls = CodexControls()
        self._answer = Answer()
        self._usage: Usage | None = None  # what the calls of the current turn have cost
        self._item: object = None  # the agentMessage that `_answer` holds

    def start(self) -> None:
        """`initialize`, then `thread/start`, `thread/resume` or `thread/fork`."""
        self._request_to_start("initialize", {"clientInfo": CLIENT_INFO}, self._initialized)

    def prompt(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> int:
        """`turn/start`. Its user message keeps `extras.name` as its `clientId`."""
        turn = self._ours = self._new_turn()
        self._ours_id = None
        self._started = False
        self._begin_answer()

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            identity = _field(result, "turn", "id")
            joined = None if identity is None else self._known.get(identity)
            out.append(Event(record, turn if joined is None else joined))
            if error is None and joined is not None and joined != turn:
                # It came while the agent had begun a turn on its own.
                self._end_ours()
                out.append(Folded(send, joined))
            elif error is None and identity is not None:
                if self._ours == turn:  # it may have ended already
                    self._ours_id = identity
                    self._know(identity, turn)
            elif error is not None:
                self._end_ours()
                out.append(Refused(send, error.message))
                self._refuse_waiting(out)

        start = {"threadId": self._thread, "input": codex_input(text, extras), **self._controls.parameters}
        if extras.schema is not None:
            start["outputSchema"] = strict_schema(extras.schema)
        if extras.name is not None:
            start["clientUserMessageId"] = extras.name
        self._request("turn/start", start, answered)
        return turn

    def steer(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> None:
        """`turn/steer`, once the turn has started."""
        turn, identity = (self._ours, self._ours_id) if self._own is None else (self._own, self._own_id)
        if self._own is None and not self._started:
            self._steers_wait.append((send, text, extras))
            return

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            out.append(Event(record, turn))
            if error is None and turn is not None:
                out.append(Folded(send, turn))
            else:
                reason = "no turn" if error is None else error.message
                out.append(Refused(send, reason, lost_race="no active turn" in reason))

        target = {"threadId": self._thread, "expectedTurnId": identity}
        self._request("turn/steer", {**target, "input": codex_input(text, extras)}, answered)

    def interrupt(self, turn: int) -> None:
        """`turn/interrupt`. Before the turn has started nothing is written; after `TurnBegan` it is requested again."""
        if turn == self._own:
            identity = self._own_id
        elif turn == self._ours and self._started:
            identity = self._ours_id
        else:
            return

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            out.append(Event(record, turn))
            if error is None:
                out.append(InterruptAcknowledged(turn))

        self._request("turn/interrupt", {"threadId": self._thread, "turnId": identity}, answered)

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """`accept`, `decline` or `cancel`; only the last one ends the turn."""
        self._reply_if_open(key, self._requests.decide(key, decision))

    def answer(self, key: Key, answer: QuestionAnswer) -> None:
        """Answer the questions, or accept or decline an elicitation."""
        self._reply_if_open(key, self._requests.answer(key, answer))

    def cancel_request(self, key: Key) -> None:
        """`cancel`, which ends the turn; after an interrupt the agent ignores it."""
        self._reply_if_open(key, self._requests.cancel(key))

    def list_controls(self) -> list[Signal]:
        """`model/list`; the rest is in the response to `thread/start`."""

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            out.append(Event(record))
            self._controls.note_models(result)
            out.append(self._controls.listed())

        self._request("model/list", {}, answered)
        return []

    def set_control(self, change: int, control: str, value: str | bool) -> list[Signal]:
        """A parameter of the next `turn/start`."""
        self._controls.set(control, str(value))
        return [self._controls.listed(), ControlAnswered(change, None)]

    def _reply_if_open(self, key: Key, result: dict[str, Any] | None) -> None:
        if result is not None:
            self._reply(key, result)

    def _initialized(self, result: Any, out: Out) -> None:
        self._notify("initialized")
        where: dict[str, Any] = {"cwd": self._cwd, **self._policy}
        if self.mcp_servers:
            where["config"] = {"mcp_servers": codex_servers(self.mcp_servers)}
        if self._thread is None:
            self._request_to_start("thread/start", where, self._opened)
        else:
            self._request_to_start(self._open_by, {"threadId": self._thread, **where}, self._opened)

    def _opened(self, result: Any, out: Out) -> None:
        thread = _field(result, "thread", "id")
        if thread is None:
            out.append(BackendStartFailed("it opened a thread without telling its id"))
            return
        self._thread = thread
        self._controls.note_thread(result)
        out.append(Ready(thread))

    def _know(self, identity: str, turn: int) -> None:
        self._known = {**dict(list(self._known.items())[1 - TURNS_KEPT :]), identity: turn}

    def _begin_answer(self) -> None:
        self._answer.restart()
        self._item = None
        self._usage = None

    def _current_turn(self) -> int | None:
        if self._own is not None:
            return self._own
        return self._ours if self._ours_id is not None else None

    def _turn_of(self, params: dict[str, Any]) -> int | None:
        identity = params.get("turnId") or _field(params, "turn", "id")
        if identity is None and "turn" not in params:
            return self._current_turn()
        return self._known.get(identity) if isinstance(identity, str) else None

    def _told(self, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        if method == "thread/started":
            self._work.note_thread(params)
        if params.get("threadId") not in (None, self._thread):
            self._told_of_subagent(method, params, record, out)
            return
        if method == "turn/started":
            self._turn_started(params, record, out)
            return
        turn = self._turn_of(params)
        text = ""
        if turn is not None and turn == self._current_turn():
            if method == "item/agentMessage/delta":
                text = self._delta(params)
            elif method == "item/completed":
                self._note_item(params.get("item"))
            elif method == "thread/tokenUsage/updated":
                self._usage = added_usage(self._usage, record)
        out.append(Event(record, turn, text))
        if method == "turn/completed" and turn is not None and turn in (self._ours, self._own):
            self._finish(turn, params.get("turn"), record, out)
        elif method == "serverRequest/resolved":
            self._resolved(params, out)
        elif method == "thread/goal/updated":
            self._work.note_goal(params.get("goal"), out)
        elif method == "thread/goal/cleared":
            self._work.note_goal(None, out)

    def _turn_started(self, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        identity = _field(params, "turn", "id")
        if self._ours is not None and self._is_overtaking(identity):
            self._ours_id = identity
            self._know(identity, self._ours)
        if identity is None or (identity in self._known and identity != self._ours_id):
            out.append(Event(record, self._turn_of(params)))
        elif identity == self._ours_id and self._ours is not None:
            self._own = self._own_id = None
            out.append(Event(record, self._ours))
            if not self._started:
                self._started = True
                self._begin_answer()
                out.append(TurnBegan(self._ours))
            waiting, self._steers_wait = self._steers_wait, []
            for send, text, extras in waiting:
                self.steer(send, text, extras)
        else:
            self._own, self._own_id = self._new_turn(), identity
            self._know(identity, self._own)
            self._begin_answer()
            out += (Event(record, self._own), AgentTurnBegan(self._own))

    def _is_overtaking(self, identity: str | None) -> TypeGuard[str]:
        """Whether `turn/started` is about our prompt, whose response has not come yet (measured on a busy machine).

        With a goal open, it may as well be a turn that codex begins by itself, and then the response tells.
        """
        awaits_response = self._ours_id is None and self._own is None
        return (
            awaits_response
            and identity is not None
            and identity not in self._known
            and not self._work.has_goal
        )

    def _told_of_subagent(
        self, method: str, params: dict[str, Any], record: dict[str, Any], out: Out
    ) -> None:
        """Handle a notification of another thread: it is no part of our answer, but its requests go to our owner."""
        thread, identity = text_of(params.get("threadId")), _field(params, "turn", "id")
        root = _field(params, "turn", "rootTurnId")
        if identity is not None and root is not None and root in self._known:
            self._know(identity, self._known[root])
        out.append(Event(record, self._turn_of(params)))
        if method == "serverRequest/resolved":
            self._resolved(params, out)
        elif method == "turn/started":
            self._work.note_subagent(thread, out, works=True)
        elif method in ("turn/completed", "thread/closed"):
            self._work.note_subagent(thread, out, works=False)

    def _resolved(self, params: dict[str, Any], out: Out) -> None:
        key = params.get("requestId")
        if self._requests.withdraw(key):
            out.append(RequestWithdrawn(key))  # type: ignore[arg-type]  # it was open, so it is a key

    def _delta(self, params: dict[str, Any]) -> str:
        if params.get("itemId") != self._item:
            self._item = params.get("itemId")
            self._answer.restart()
        piece = params.get("delta")
        if not isinstance(piece, str):
            return ""
        self._answer.add(piece)
        return piece

    def _note_item(self, item: object) -> None:
        if (
            isinstance(item, dict)
            and item.get("type") == "agentMessage"
            and isinstance(item.get("text"), str)
        ):
            self._item = item.get("id")
            self._answer.restart(item["text"])

    def _finish(self, turn: int, told: Any, record: dict[str, Any], out: Out) -> None:
        fields = told if isinstance(told, dict) else {}
        status = ENDINGS.get(str(fields.get("status")), TurnStatus.FAILED)
        error = None
        if status is TurnStatus.FAILED:
            error = _field(fields, "error", "message") or str(fields.get("status"))
        current = self._current_turn()
        text = str(self._answer) if turn == current else ""
        if turn == self._own:
            self._own = self._own_id = None
        else:
            self._end_ours()
        usage, self._usage = (self._usage, None) if turn == current else (None, self._usage)
        outcome = outcome_in(CODEX, record)._replace(usage=usage)
        out.append(TurnFinished(turn, status, text, error, record, outcome))
        if turn != self._own and self._ours is None:
            self._refuse_waiting(out)

    def _end_ours(self) -> None:
        self._ours = self._ours_id = None
        self._started = False

    def _refuse_waiting(self, out: Out) -> None:
        """Refuse the messages that wait to steer a turn which will not start any more."""
        waiting, self._steers_wait = self._steers_wait, []
        out.extend(Refused(send, "the turn has ended", lost_race=True) for send, *_ in waiting)

    def _asked(self, key: Key, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        turn = self._turn_of(params)
        out.append(Event(record, turn))
        thread = params.get("threadId")
        asker = None if thread in (None, self._thread) else self._work.name_of(str(thread))
        asked = self._requests.open(key, method, params, record, turn, asker)
        if asked is None:
            self._decline(key, method)
        else:
            out.append(asked)


def _field(value: object, *path: str) -> str | None:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
