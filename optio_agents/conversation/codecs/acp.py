"""The Agent Client Protocol, version 1 (JSON-RPC 2.0): `gemini --acp`, `opencode acp`, claude-code-acp, ...

The facts behind the rules below (measured with gemini 0.61.0, opencode 1.18.33, claude-code-acp 0.16.2):

- A turn ends with the *response* to `session/prompt`. With two prompts at once, one agent answers both at the end, one
  cancels the first, one swaps the answers. So we send one prompt at a time, and do not steer.
- `session/cancel` is a notification; the prompt's response is its acknowledgement.
- gemini answers a cancelled prompt only after the open permission requests were answered; the others do not need
  that. So a cancelled request is always answered.
- Updates carry no turn. Chunks of a message carry a `messageId` (opencode, claude-code-acp), and may come after the
  response of their prompt, also when the next one is open already: they belong to the turn in which the message began.
  Other updates belong to the prompt that is open; after its response, to the turn that has ended if their message was
  its own, else to none.
- After `session/load` old messages are replayed, by gemini partly after the response, where they would be taken for
  the first answer. Its list of commands follows the replay; it is ready then (`replays_late`).
- A permission request may outlive its prompt's response (work in the background): it stays open.
- We offer neither files nor terminals, so that agents use their own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.codecs.acp_controls import MODE_ECHO, AcpControls
from optio_agents.conversation.codecs.acp_requests import AcpRequests
from optio_agents.conversation.codecs.base import (
    Answer,
    BackendStartFailed,
    ControlAnswered,
    Key,
    Ready,
    Signal,
    TurnBegan,
    TurnFinished,
)
from optio_agents.conversation.codecs.contents import acp_prompt
from optio_agents.conversation.codecs.jsonrpc import CLIENT_INFO, JsonRpcCodec, Out, RpcError
from optio_agents.conversation.codecs.mcp_forms import acp_servers
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import Capabilities, Event, TurnStatus
from optio_agents.conversation.views.acp import ACP
from optio_agents.conversation.views.outcome import outcome_in
from optio_agents.mcp import McpServer

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

MESSAGES_KEPT = 64
"""Of how many messages it is remembered in which turn they began: late chunks name them."""


class AcpCodec(JsonRpcCodec):
    """The Agent Client Protocol. `session` is the id of one to resume.

    `replays_late`: the agent replays its messages after the response that it has loaded it, then lists its commands.
    """

    name = "acp"
    capabilities: ClassVar[Capabilities] = Capabilities(
        resume=True, fork=True, list_sessions=True, images=True, files=True
    )

    def __init__(
        self, *, cwd: str, session: str | None = None, fork: bool = False, replays_late: bool = False
    ) -> None:
        super().__init__()
        self._fork = fork
        self.replays_late = replays_late
        self._cwd = cwd
        self._session = session
        self._told_capabilities: object = None  # the answer to `initialize`
        self._is_open = False
        self._replaying = replays_late and session is not None
        self._turn: int | None = None
        self._began = False
        self._messages: dict[str, int] = {}  # the turns of the last messages
        self._requests = AcpRequests()
        self._controls = AcpControls()
        self._mode_changes = 0  # how many new modes the agent has not confirmed
        self._answer = Answer()

    def start(self) -> None:
        """`initialize`, then `session/new`, `session/load` or `session/fork`."""
        capabilities = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        elicitation: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
        ours = {"protocolVersion": PROTOCOL_VERSION, "clientCapabilities": {**capabilities, **elicitation}}
        self._request_to_start("initialize", {**ours, "clientInfo": CLIENT_INFO}, self._initialized)

    def why_not(self, extras: Extras) -> str | None:
        """Images and files need a capability that the agent tells in its answer to `initialize`."""
        if extras.images and not _can(self._told_capabilities, "promptCapabilities", "image"):
            return "it takes no images"
        if extras.files and not _can(self._told_capabilities, "promptCapabilities", "embeddedContext"):
            return "it takes no files"
        return super().why_not(extras)

    def prompt(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> int:
        """`session/prompt`; its response ends the turn."""
        turn = self._turn = self._new_turn()
        self._began = False
        self._requests.forget_calls()
        self._answer.restart()
        content = acp_prompt(text, extras)

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            self._ended(turn, result, error, record, out)

        self._request("session/prompt", {"sessionId": self._session, "prompt": content}, answered)
        return turn

    def interrupt(self, turn: int) -> None:
        """`session/cancel`."""
        if turn == self._turn:
            self._notify("session/cancel", {"sessionId": self._session})

    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """Choose the offered option with that meaning. To interrupt is a notification of its own."""
        self._reply_if_open(key, self._requests.decide(key, decision))
        if decision.interrupt and self._turn is not None:
            self.interrupt(self._turn)

    def answer(self, key: Key, answer: QuestionAnswer) -> None:
        """Accept with the answers, or decline."""
        self._reply_if_open(key, self._requests.answer(key, answer))

    def cancel_request(self, key: Key) -> None:
        """The outcome `cancelled`."""
        self._reply_if_open(key, self._requests.cancel(key))

    def _reply_if_open(self, key: Key, result: dict[str, Any] | None) -> None:
        if result is not None:
            self._reply(key, result)

    def _current_turn(self) -> int | None:
        return self._turn

    def list_controls(self) -> list[Signal]:
        """They were told with the session."""
        return [self._controls.listed()]

    def set_control(self, change: int, control: str, value: str | bool) -> list[Signal]:
        """The request that sets it."""
        source, method, parameters = self._controls.request(control, value)
        self._mode_changes += source == "mode"

        def answered(result: Any, error: RpcError | None, record: dict[str, Any], out: Out) -> None:
            self._mode_changes -= source == "mode"
            out.append(Event(record))
            if error is None:
                self._controls.note_set(source, value, result)
                out.append(self._controls.listed())
            out.append(ControlAnswered(change, None if error is None else error.message))

        self._request(method, {"sessionId": self._session, **parameters}, answered)
        return []

    def _initialized(self, result: Any, out: Out) -> None:
        self._told_capabilities = result
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        if version != PROTOCOL_VERSION:
            reason = f"it speaks version {version} of the protocol, we speak {PROTOCOL_VERSION}"
            out.append(BackendStartFailed(reason))
            return
        remote = [server.name for server in self.mcp_servers if isinstance(server, McpServer)]
        if remote and not _can(result, "mcpCapabilities", "http"):
            reason = f"it does not take remote MCP servers ({', '.join(remote)})"
            out.append(BackendStartFailed(reason))
            return
        where = {"cwd": self._cwd, "mcpServers": acp_servers(self.mcp_servers)}
        if self._session is None:
            self._request_to_start("session/new", where, self._opened)
        elif self._fork:
            self._fork_session(self._session, where, result, out)
        else:
            self._request_to_start("session/load", {"sessionId": self._session, **where}, self._opened)

    def _fork_session(self, session: str, where: dict[str, Any], told: Any, out: Out) -> None:
        if not self.has_session_capability(told, "fork"):
            out.append(BackendStartFailed("it cannot fork sessions"))
            return
        self._session = None  # the response tells the new one's
        self._replaying = False
        self._request_to_start("session/fork", {"sessionId": session, **where}, self._opened)

    @staticmethod
    def has_session_capability(told: object, name: str) -> bool:
        """Whether an answer to `initialize` has `sessionCapabilities.NAME`: an object, perhaps an empty one."""
        capabilities = told.get("agentCapabilities") if isinstance(told, dict) else None
        sessions = capabilities.get("sessionCapabilities") if isinstance(capabilities, dict) else None
        return isinstance(sessions, dict) and sessions.get(name) is not None

    def _opened(self, result: Any, out: Out) -> None:
        if self._session is None:
            session = result.get("sessionId") if isinstance(result, dict) else None
            if not isinstance(session, str):
                out.append(BackendStartFailed("it opened a session without telling its id"))
                return
            self._session = session
        self._controls.note_session(result)
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
        text, outcome = str(self._answer), outcome_in(ACP, record)
        if error is not None:
            out.append(TurnFinished(turn, TurnStatus.FAILED, text, error.message, record, outcome))
            return
        reason = str(result.get("stopReason")) if isinstance(result, dict) else "no result"
        status = ENDINGS.get(reason, TurnStatus.COMPLETED)
        failure = reason if status is TurnStatus.FAILED else None
        out.append(TurnFinished(turn, status, text, failure, record, outcome))

    def _told(self, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        update = params.get("update")
        if method != "session/update" or not isinstance(update, dict):
            out.append(Event(record, self._turn))
            return
        kind = update.get("sessionUpdate")
        kind = kind if isinstance(kind, str) else ""
        turn, text = self._turn, ""
        if kind in ("agent_message_chunk", "agent_thought_chunk"):
            turn = self._turn_of_message(update.get("messageId"))
        if kind == "agent_message_chunk" and not self._replays():
            content = update.get("content")
            piece = content.get("text") if isinstance(content, dict) else None
            if isinstance(piece, str) and not (self._mode_changes and piece.startswith(MODE_ECHO)):
                text = piece
                if turn is not None and turn == self._turn:
                    self._answer.add(text)
        elif kind in ("tool_call", "tool_call_update"):
            self._answer.supersede()
            self._requests.note_call(update)
        out.append(Event(record, turn, text))
        controls = self._controls.note_update(update)
        if controls is not None:
            out.append(controls)
        if kind in SIGNS_OF_WORK and turn == self._turn:
            self._note_beginning(out)
        elif kind == "available_commands_update" and self._replaying:
            self._replaying = False
            self._note_ready(out)

    def _replays(self) -> bool:
        """Whether updates at present repeat messages of an earlier process."""
        return self._replaying or not self._is_open

    def _turn_of_message(self, name: object) -> int | None:
        """The turn in which the message with that id began; a message without an id belongs to the open prompt."""
        if not isinstance(name, str):
            return self._turn
        if name not in self._messages and self._turn is not None:
            recent = list(self._messages.items())[1 - MESSAGES_KEPT :]
            self._messages = {**dict(recent), name: self._turn}
        return self._messages.get(name)

    def _note_beginning(self, out: Out) -> None:
        if self._turn is not None and not self._began:
            self._began = True
            out.append(TurnBegan(self._turn))

    def _asked(self, key: Key, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        out.append(Event(record, self._turn))
        asked = self._requests.open(key, method, params, record, self._turn)
        if asked is None:
            self._decline(key, method)
            return
        self._note_beginning(out)
        self._answer.supersede()
        out.append(asked)


def _can(result: object, *path: str) -> bool:
    """Whether the agent's answer to `initialize` has this capability."""
    value = result.get("agentCapabilities") if isinstance(result, dict) else None
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value is True
