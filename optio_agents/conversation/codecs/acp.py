"""The Agent Client Protocol, version 1 (JSON-RPC 2.0): `gemini --acp`, `opencode acp`, claude-code-acp, ...

What the rules below rest on (measured with gemini 0.61.0, opencode 1.18.33, claude-code-acp 0.16.2):

- A turn ends with the *response* to `session/prompt`. With two prompts at once one agent answers both at the
  end, one cancels the first, one swaps the answers: so one prompt at a time, and no steering.
- `session/cancel` is a notification; the prompt's response is its acknowledgement.
- gemini answers a cancelled prompt only after the open permission requests were answered, the others do not
  care: so a cancelled request is always answered.
- Updates carry no turn. They belong to the prompt that is open; what comes after its response belongs to no
  turn.
- After `session/load` old messages are replayed, by gemini partly after the response, where they would be taken for
  the first answer. Its list of commands follows the replay; it is ready then (`replays_late`).
- We offer neither files nor terminals: agents then use their own, which is what we want of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from optio_agents.conversation.codecs.base import (
    Answer,
    BackendStartFailed,
    Key,
    PermissionAsked,
    Ready,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.jsonrpc import CLIENT_INFO, JsonRpcCodec, Out, RpcError
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Capabilities, Event, TurnStatus

PROTOCOL_VERSION = 1

ENDINGS = {
    # stopReason of the prompt's response
    "end_turn": TurnStatus.COMPLETED,
    "cancelled": TurnStatus.INTERRUPTED,
    "max_tokens": TurnStatus.FAILED,
    "max_turn_requests": TurnStatus.FAILED,
    "refusal": TurnStatus.FAILED,
}
"""How a prompt's response ended its turn. A stop reason that is not in the table: completed."""

SIGNS_OF_WORK = {"agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan"}
"""The updates that show that the agent works on a turn; others, like its list of commands, come at any time."""

OPTION_KINDS = {"allow": ("allow_once", "allow_always"), "deny": ("reject_once", "reject_always")}
"""Which of the offered options says what was decided; the narrower one first."""

CALLS_KEPT = 256
"""Of how many tool calls of a turn it is remembered what they are; permission requests name the newest."""

CANCELLED = {"outcome": {"outcome": "cancelled"}}


class AcpCodec(JsonRpcCodec):
    """The Agent Client Protocol. `session` names one to take up again.

    `replays_late`: the agent replays that one's messages after it says that it has loaded it, then lists its commands.
    """

    name = "acp"
    capabilities: ClassVar[Capabilities] = Capabilities(resume=True)

    def __init__(self, *, cwd: str, session: str | None = None, replays_late: bool = False) -> None:
        super().__init__()
        self._cwd = cwd
        self._session = session
        self._is_open = False
        self._replaying = replays_late and session is not None
        self._turn: int | None = None
        self._began = False
        self._options: dict[Key, list[dict[str, Any]]] = {}
        self._calls: dict[str, dict[str, Any]] = {}  # what is known of this turn's last tool calls, by id
        self._answer = Answer()

    def start(self) -> None:
        """`initialize`, then `session/new` or `session/load`."""
        capabilities = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        ours = {"protocolVersion": PROTOCOL_VERSION, "clientCapabilities": capabilities}
        self._request_to_start("initialize", {**ours, "clientInfo": CLIENT_INFO}, self._initialized)

    def prompt(self, send: int, text: str) -> int:
        """`session/prompt`; its response ends the turn."""
        turn = self._turn = self._new_turn()
        self._began = False
        self._calls.clear()
        self._answer.restart()
        content = [{"type": "text", "text": text}]

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            self._ended(turn, result, error, record, out)

        self._request("session/prompt", {"sessionId": self._session, "prompt": content}, answered)
        return turn

    def interrupt(self) -> None:
        """`session/cancel`."""
        if self._turn is not None:
            self._notify("session/cancel", {"sessionId": self._session})

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """Choose the offered option that says it."""
        options = self._options.pop(key, None)
        if options is None:
            return
        for kind in OPTION_KINDS[decision.behavior]:
            for option in options:
                if option.get("kind") == kind:
                    chosen = {"outcome": "selected", "optionId": option.get("optionId")}
                    self._reply(key, {"outcome": chosen})
                    return
        self._reply(key, CANCELLED)

    def cancel_permission(self, key: Key) -> None:
        """The outcome `cancelled`."""
        if self._options.pop(key, None) is not None:
            self._reply(key, CANCELLED)

    def _initialized(self, result: Any, out: Out) -> None:
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        if version != PROTOCOL_VERSION:
            reason = f"it speaks version {version} of the protocol, we speak {PROTOCOL_VERSION}"
            out.append(BackendStartFailed(reason))
            return
        where = {"cwd": self._cwd, "mcpServers": []}
        if self._session is None:
            self._request_to_start("session/new", where, self._opened)
        else:
            self._request_to_start("session/load", {"sessionId": self._session, **where}, self._opened)

    def _opened(self, result: Any, out: Out) -> None:
        if self._session is None:
            session = result.get("sessionId") if isinstance(result, dict) else None
            if not isinstance(session, str):
                out.append(BackendStartFailed("it opened a session without telling its id"))
                return
            self._session = session
        self._is_open = True
        self._note_ready(out)

    def _note_ready(self, out: Out) -> None:
        if self._is_open and not self._replaying:
            out.append(Ready(self._session))

    def _ended(
        self, turn: int, result: Any, error: RpcError | None, record: dict[str, Any], out: Out
    ) -> None:
        out.append(Event(record, turn))
        if self._turn == turn:
            self._turn = None
        self._options.clear()
        text = str(self._answer)
        if error is not None:
            out.append(TurnFinished(turn, TurnStatus.FAILED, text, error.message, record))
            return
        reason = str(result.get("stopReason")) if isinstance(result, dict) else "no result"
        status = ENDINGS.get(reason, TurnStatus.COMPLETED)
        failure = reason if status is TurnStatus.FAILED else None
        out.append(TurnFinished(turn, status, text, failure, record))

    def _told(self, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        update = params.get("update")
        if method != "session/update" or not isinstance(update, dict):
            out.append(Event(record, self._turn))
            return
        kind = update.get("sessionUpdate")
        text = ""
        if kind == "agent_message_chunk" and self._turn is not None:
            content = update.get("content")
            piece = content.get("text") if isinstance(content, dict) else None
            if isinstance(piece, str):
                text = piece
                self._answer.add(text)
        elif kind in ("tool_call", "tool_call_update"):
            self._note_tool(update)
        out.append(Event(record, self._turn, text))
        if kind in SIGNS_OF_WORK:
            self._note_beginning(out)
        elif kind == "available_commands_update" and self._replaying:
            self._replaying = False
            self._note_ready(out)

    def _note_tool(self, update: dict[str, Any]) -> None:
        self._answer.restart()
        known = self._calls.setdefault(str(update.get("toolCallId")), {})
        if len(self._calls) > CALLS_KEPT:
            del self._calls[next(iter(self._calls))]
        known.update({key: update[key] for key in ("rawInput", "_meta", "kind", "title") if update.get(key)})

    def _note_beginning(self, out: Out) -> None:
        if self._turn is not None and not self._began:
            self._began = True
            out.append(TurnBegan(self._turn))

    def _asked(self, key: Key, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        out.append(Event(record, self._turn))
        if method != "session/request_permission":
            self._decline(key, method)
            return
        self._note_beginning(out)
        options = params.get("options")
        options = options if isinstance(options, list) else []
        self._options[key] = [option for option in options if isinstance(option, dict)]
        call = params.get("toolCall")
        call = call if isinstance(call, dict) else {}
        known = {**self._calls.get(str(call.get("toolCallId")), {}), **{k: v for k, v in call.items() if v}}
        self._answer.restart()
        out.append(PermissionAsked(key, self._turn, _tool_name(known), _tool_input(known), record))


def _tool_name(call: dict[str, Any]) -> str:
    """The tool's own name where an agent tells it, else what kind of tool it is."""
    meta = call.get("_meta")
    for extension in meta.values() if isinstance(meta, dict) else ():
        if isinstance(extension, dict) and isinstance(extension.get("toolName"), str):
            return str(extension["toolName"])
    return str(call.get("kind") or call.get("title") or "tool")


def _tool_input(call: dict[str, Any]) -> dict[str, Any]:
    """What the tool would run with. Not every agent says so; then, what it says to people."""
    given = call.get("rawInput")
    if isinstance(given, dict):
        return given
    return {key: call[key] for key in ("title", "content", "locations") if call.get(key)}
