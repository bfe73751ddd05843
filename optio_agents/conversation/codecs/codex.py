"""Codex: `codex app-server`. JSON-RPC whose output lacks the `jsonrpc` field.

What the rules below rest on (measured with 0.169.0):

- A turn has an id, told in the response to `turn/start`; events carry it, and `turn/completed` ends it
  (the thread reports itself idle *before* that, so idle proves nothing).
- `turn/steer` folds a message into the running turn: one `turn/completed` for both. It aborts the stream that
  was running, whose item is then never completed.
- A turn can be interrupted and steered from `turn/started` on; between the response to `turn/start` and that,
  the answer is "no active turn". An interrupt leaves the shell command of a running tool alive.
- Approval requests count their ids from 0, in a space of their own, and are answered with a decision, never
  with other input. An interrupt resolves them by itself.
- At the end of its input it exits at once, in the middle of a turn too.
"""

from __future__ import annotations

from typing import Any, ClassVar

from optio_agents.conversation.codecs.base import (
    Answer,
    BackendStartFailed,
    Folded,
    InterruptAcknowledged,
    Key,
    PermissionAsked,
    PermissionWithdrawn,
    Ready,
    Refused,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.jsonrpc import CLIENT_INFO, JsonRpcCodec, Out, RpcError
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Capabilities, Event, TurnStatus

ENDINGS = {
    # status of a completed turn
    "completed": TurnStatus.COMPLETED,
    "interrupted": TurnStatus.INTERRUPTED,
    "failed": TurnStatus.FAILED,
}
"""How `turn/completed` ended its turn. A status that is not in the table: failed."""

APPROVALS = {
    "item/commandExecution/requestApproval": "commandExecution",
    "item/fileChange/requestApproval": "fileChange",
}
"""The backend's requests that are permission requests, and the tool that each is about."""

TURNS_KEPT = 8
"""The ids of how many ended turns are remembered, for events that come late."""

DECISIONS = {"allow": {"decision": "accept"}, "deny": {"decision": "decline"}}
CANCELLED = {"decision": "cancel"}


class CodexCodec(JsonRpcCodec):
    """The app-server language of Codex. `thread` names one to take up again."""

    name = "codex"
    capabilities: ClassVar[Capabilities] = Capabilities(steer=True, resume=True)
    envelope: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        *,
        cwd: str,
        thread: str | None = None,
        approval_policy: str = "untrusted",
        sandbox: str = "danger-full-access",
    ) -> None:
        super().__init__()
        self._cwd = cwd
        self._thread = thread
        self._policy = {"approvalPolicy": approval_policy, "sandbox": sandbox}
        self._turn: int | None = None
        self._turn_id: str | None = None
        self._known: dict[str, int] = {}  # the last turns by their ids, for events that come late
        self._started = False
        self._steers_wait: list[tuple[int, str]] = []
        self._open: set[Key] = set()
        self._answer = Answer()
        self._item: object = None  # the agentMessage that `_answer` holds

    def start(self) -> None:
        """`initialize`, then `thread/start` or `thread/resume`."""
        self._request_to_start("initialize", {"clientInfo": CLIENT_INFO}, self._initialized)

    def prompt(self, send: int, text: str) -> int:
        """`turn/start`."""
        turn = self._turn = self._new_turn()
        self._turn_id = None
        self._started = False
        self._answer.restart()
        self._item = None

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            out.append(Event(record, turn))
            if error is None:
                self._identify(turn, _field(result, "turn", "id"))
            else:
                self._turn = None
                out.append(Refused(send, error.message))
                self._refuse_waiting(out)

        self._request("turn/start", {"threadId": self._thread, "input": _input(text)}, answered)
        return turn

    def steer(self, send: int, text: str) -> None:
        """`turn/steer`, once the turn has started."""
        if not self._started:
            self._steers_wait.append((send, text))
            return
        turn = self._turn

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            out.append(Event(record, turn))
            if error is None and turn is not None:
                out.append(Folded(send, turn))
            else:
                reason = "no turn" if error is None else error.message
                out.append(Refused(send, reason, lost_race="no active turn" in reason))

        target = {"threadId": self._thread, "expectedTurnId": self._turn_id}
        self._request("turn/steer", {**target, "input": _input(text)}, answered)

    def interrupt(self) -> None:
        """`turn/interrupt`; before the turn has started it is nothing, and `TurnBegan` has it said again."""
        turn = self._turn
        if turn is None or not self._started:
            return

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            out.append(Event(record, turn))
            if error is None:
                out.append(InterruptAcknowledged(turn))

        self._request("turn/interrupt", {"threadId": self._thread, "turnId": self._turn_id}, answered)

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """`accept` or `decline`; the turn goes on either way."""
        if key in self._open:
            self._open.remove(key)
            self._reply(key, DECISIONS[decision.behavior])

    def cancel_permission(self, key: Key) -> None:
        """`cancel`, which ends the turn; after an interrupt the agent ignores it."""
        if key in self._open:
            self._open.remove(key)
            self._reply(key, CANCELLED)

    def _initialized(self, result: Any, out: Out) -> None:
        self._notify("initialized")
        where = {"cwd": self._cwd, **self._policy}
        if self._thread is None:
            self._request_to_start("thread/start", where, self._opened)
        else:
            self._request_to_start("thread/resume", {"threadId": self._thread, **where}, self._opened)

    def _opened(self, result: Any, out: Out) -> None:
        thread = _field(result, "thread", "id")
        if thread is None:
            out.append(BackendStartFailed("it opened a thread without telling its id"))
            return
        self._thread = thread
        out.append(Ready(thread))

    def _identify(self, turn: int, identity: str | None) -> None:
        if identity is not None and turn == self._turn and self._turn_id is None:
            self._turn_id = identity
            self._known = {**dict(list(self._known.items())[-TURNS_KEPT:]), identity: turn}

    def _begin(self, turn: int, out: Out) -> None:
        if self._started:
            return
        self._started = True
        out.append(TurnBegan(turn))
        waiting, self._steers_wait = self._steers_wait, []
        for send, text in waiting:
            self.steer(send, text)

    def _told(self, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        turn = self._turn_of(params)
        text = ""
        if turn is not None and turn == self._turn:
            if method == "item/agentMessage/delta":
                text = self._delta(params)
            elif method == "item/completed":
                self._note_item(params.get("item"))
        out.append(Event(record, turn, text))
        if method == "turn/started" and turn is not None and turn == self._turn:
            self._identify(turn, _field(params, "turn", "id"))
            self._begin(turn, out)
        elif method == "turn/completed" and turn is not None and turn == self._turn:
            self._finish(turn, params.get("turn"), record, out)
        elif method == "serverRequest/resolved":
            key = params.get("requestId")
            if isinstance(key, str | int) and key in self._open:
                self._open.remove(key)
                out.append(PermissionWithdrawn(key))

    def _turn_of(self, params: dict[str, Any]) -> int | None:
        identity = params.get("turnId") or _field(params, "turn", "id")
        if identity is None:
            return self._turn
        known = self._known.get(identity)
        # Before the response to turn/start has come, events of a new id belong to the turn that it begins.
        return self._turn if known is None and self._turn_id is None else known

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
        self._turn = self._turn_id = None
        self._started = False
        out.append(TurnFinished(turn, status, str(self._answer), error, record))
        self._refuse_waiting(out)

    def _refuse_waiting(self, out: Out) -> None:
        """The turn that these were to steer will not start any more."""
        waiting, self._steers_wait = self._steers_wait, []
        out.extend(Refused(send, "the turn has ended", lost_race=True) for send, _ in waiting)

    def _asked(self, key: Key, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        turn = self._turn_of(params)
        out.append(Event(record, turn))
        tool = APPROVALS.get(method)
        if tool is None:
            self._decline(key, method)
            return
        self._open.add(key)
        out.append(PermissionAsked(key, turn, tool, params, record))


def _input(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def _field(value: object, *path: str) -> str | None:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
