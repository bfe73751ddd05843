"""What a codec is: the only code that knows the protocol of a backend. Sans-IO.

Commands go in as method calls and come out as bytes (`take_output`). Bytes go in (`receive`) and come out as an
ordered list of `Event`s (each the backend's own dict) and `Signal`s (its meaning, in terms that all backends share).
Each signal follows the event from which it was read. A codec decides nothing about a turn; the rules that all backends
share are in `turns/`.

The codec numbers the turns, because only it knows which event belongs to which turn. `prompt` returns the number of the
turn that it begins. A backend may also begin a turn on its own (`AgentTurnBegan`), or with messages that were sent to
steer the previous turn (`TurnBegan` with a new number).
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.codecs.json_lines import UNPARSEABLE, JsonLines, unparseable
from optio_agents.conversation.mcp_servers import AnyMcpServer
from optio_agents.conversation.requests import QuestionAnswer, QuestionRequest
from optio_agents.conversation.surface import PermissionDecision, Scope
from optio_agents.conversation.values import BackgroundTask, Capabilities, Event, TurnResult, TurnStatus
from optio_agents.conversation.views.outcome import NOT_TOLD, Outcome
from optio_agents.session_controls import SessionControl

logger = logging.getLogger(__name__)

TEXT_LIMIT = 16 * 1024 * 1024
"""The most characters of a turn's answer that are kept."""

Key = str | int
"""A backend's own name for a request."""


class Ready(NamedTuple):
    """The backend accepts prompts now. `session` is the id with which a later process resumes it."""

    session: str | None


class SessionNamed(NamedTuple):
    """The backend sent its session's id after `Ready`."""

    session: str


class BackendStartFailed(NamedTuple):
    """The backend refuses to work; `reason` is its text."""

    reason: str


class TurnBegan(NamedTuple):
    """The backend works on this turn now: from here on an interrupt is effective.

    An earlier interrupt may have been lost, so it is sent again. `sends` are the sends that the turn answers, if the
    backend itself began it with messages that were sent to steer the previous turn.
    """

    turn: int
    sends: tuple[int, ...] = ()


class AgentTurnBegan(NamedTuple):
    """The backend works on a turn that it began on its own. `turn` is a new number."""

    turn: int


class TurnFinished(NamedTuple):
    """A turn has ended; `raw` is the event that reported it, and `outcome` its usage and its error."""

    turn: int
    status: TurnStatus
    text: str
    error: str | None
    raw: dict[str, Any]
    outcome: Outcome = NOT_TOLD


class Folded(NamedTuple):
    """A send has become part of a turn that another one, or the backend itself, had begun."""

    send: int
    turn: int


class Refused(NamedTuple):
    """The backend refused a send. `lost_race`: only because no turn was running any more."""

    send: int
    reason: str
    lost_race: bool = False


class PermissionAsked(NamedTuple):
    """The backend requested a decision in `turn` and waits for it; the fields are those of `ToolRequest`."""

    key: Key
    turn: int | None
    tool_name: str
    input: dict[str, Any]
    raw: dict[str, Any]
    asker: str | None = None
    scopes: tuple[Scope, ...] = ("once",)
    covers: tuple[str, ...] = ()
    server: str | None = None
    """The MCP server whose tool it is, if it is one, in the backend's own structured words."""


class QuestionAsked(NamedTuple):
    """The backend waits for an answer of its user."""

    key: Key
    request: QuestionRequest


class RequestWithdrawn(NamedTuple):
    """The backend no longer waits for the answer to this request."""

    key: Key


class BackgroundChanged(NamedTuple):
    """The complete list of the open background work."""

    tasks: tuple[BackgroundTask, ...]


class ControlsListed(NamedTuple):
    """These controls the backend has, with their values now. `complete`: it has answered what `list_controls` asked."""

    controls: tuple[SessionControl, ...]
    complete: bool = True


class ControlAnswered(NamedTuple):
    """A control was set, or `reason` says why it was not. `change` is the number that `set_control` was given."""

    change: int
    reason: str | None


class LineLost(NamedTuple):
    """A line that may have been a record could not be read."""


class InterruptAcknowledged(NamedTuple):
    """The backend confirms an interrupt. The turn's end follows as a signal of its own."""

    turn: int


Signal = (
    Ready
    | SessionNamed
    | BackendStartFailed
    | TurnBegan
    | AgentTurnBegan
    | TurnFinished
    | Folded
    | Refused
    | PermissionAsked
    | QuestionAsked
    | RequestWithdrawn
    | BackgroundChanged
    | ControlsListed
    | ControlAnswered
    | LineLost
    | InterruptAcknowledged
)

ESSENTIAL = (TurnFinished, PermissionAsked, QuestionAsked, RequestWithdrawn)
"""Signals whose events no subscriber loses."""


class Codec(ABC):
    """One backend's protocol. One object per conversation; only the turn rules call the commands."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def __init__(self) -> None:
        self._lines = JsonLines()
        self._output = bytearray()
        self._turns = 0
        self.mcp_servers: tuple[AnyMcpServer, ...] = ()
        """What the agent is offered beyond its own tools; set before `start`."""
        self.own_server: str | None = None
        """The one of them that serves its owner's functions: to offer them was to allow them."""
        self.answer_schema: Mapping[str, Any] | None = None
        """The schema of all answers, for a backend that takes one at its start only; set before `start`."""

    # Commands. Each appends its bytes to the output.

    @abstractmethod
    def start(self) -> None:
        """Write the handshake; `Ready` or `BackendStartFailed` follows."""

    @abstractmethod
    def prompt(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> int:
        """Begin a turn with `text`; return the turn's number. Only allowed while no turn is running.

        A backend with ids of its own for messages adopts `extras.name`.
        """

    def steer(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> None:
        """Add `text` to the running turn; `Folded`, `Refused` or a `TurnBegan` that names `send` follows."""
        raise NotImplementedError

    @abstractmethod
    def interrupt(self, turn: int) -> None:
        """Request the end of `turn`, which is running."""

    @abstractmethod
    def decide(self, key: Key, decision: PermissionDecision) -> None:
        """Answer a permission request."""

    def answer(self, key: Key, answer: QuestionAnswer) -> None:
        """Answer a question. Its answers were checked by `QuestionRequest.values`."""
        raise NotImplementedError

    @abstractmethod
    def cancel_request(self, key: Key) -> None:
        """Answer a request of any kind that will not be decided."""

    def list_controls(self) -> list[Signal]:
        """Ask what the backend lets its user change. Returns what is known at once; a complete list follows."""
        return [ControlsListed(())]

    def set_control(self, change: int, control: str, value: str | bool) -> list[Signal]:
        """Set one of the controls that were listed. Returns what is known at once; `ControlAnswered` follows."""
        raise NotImplementedError

    def why_not(self, extras: Extras) -> str | None:
        """Why this backend cannot be told these; `None` if it can. Once it is ready."""
        can = self.capabilities
        for wanted, possible, what in (
            (extras.images, can.images, "images"),
            (extras.files, can.files, "files"),
            (extras.schema, can.answer_schema, "a schema of the answer"),
        ):
            if wanted and not possible:
                return f"it takes no message with {what}"
        return None

    def answer_data(self, result: TurnResult) -> Any:
        """What a turn answered to a message with a schema, from JSON.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(result.text)

    # Bytes.

    def take_output(self) -> bytes:
        """Return and clear the bytes to write to the backend."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def receive(self, data: bytes) -> list[Event | Signal]:
        """Decode output of the backend; `b""` is its end."""
        out: list[Event | Signal] = []
        for record in self._lines.feed(data) if data else self._lines.finish():
            if record.get("type") == UNPARSEABLE:
                self._unreadable(record, out)
                continue
            before = len(out)
            try:
                self._record(record, out)
            except Exception as error:  # a record of an unexpected shape must not affect the following ones
                logger.exception("%s: a record that could not be understood", self.name)
                del out[before:]
                reason = f"not understood: {type(error).__name__}: {error}"
                self._unreadable(unparseable(reason, json.dumps(record).encode(), lost=True), out)
        return out

    def _unreadable(self, line: dict[str, Any], out: list[Event | Signal]) -> None:
        out.append(Event(line, self._current_turn()))
        if line.get("lost"):
            out.append(LineLost())
        if "tail" in line or str(line.get("line")).startswith("{"):
            self._lost(line, out)

    @abstractmethod
    def _record(self, record: dict[str, Any], out: list[Event | Signal]) -> None:
        """Add one object's event and signals to `out`. An unknown object is passed on as an event."""

    def _current_turn(self) -> int | None:
        """The turn of records that do not name theirs."""
        return None

    def _lost(self, line: dict[str, Any], out: list[Event | Signal]) -> None:  # noqa: B027 - optional
        """Handle the loss of a line that may have been a record; `line` has its beginning (`line`) and end (`tail`).

        If the backend waits for an answer to it, or it ended a turn, report that, so that no side waits for ever.
        """

    def _write(self, record: dict[str, Any]) -> None:
        self._output += json.dumps(record, separators=(",", ":")).encode() + b"\n"

    def _new_turn(self) -> int:
        self._turns += 1
        return self._turns


class Answer:
    """The text of an answer while it arrives in pieces, up to `TEXT_LIMIT` characters."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._superseded = False

    def add(self, text: str) -> None:
        """Append a piece."""
        if self._superseded:
            self.restart()
        if self._size < TEXT_LIMIT:
            self._parts.append(text[: TEXT_LIMIT - self._size])
            self._size += len(self._parts[-1])

    def restart(self, text: str = "") -> None:
        """Replace the text."""
        self._parts, self._size, self._superseded = [], 0, False
        if text:
            self.add(text)

    def supersede(self) -> None:
        """Let the next piece replace the text: the answer is the text after the last tool call, if there is one."""
        self._superseded = True

    def __str__(self) -> str:
        return "".join(self._parts)
