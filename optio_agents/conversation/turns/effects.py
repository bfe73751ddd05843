"""The actions that the turn rules require: the values that the methods of `Turns` return, in order."""

from __future__ import annotations

from typing import NamedTuple

from optio_agents.conversation.controls import ControlEnd
from optio_agents.conversation.requests import AgentRequest
from optio_agents.conversation.values import Event, InterruptReceipt, SendEnd, TurnResult
from optio_agents.session_controls import SessionControl


class SendEnded(NamedTuple):
    """A send has ended."""

    send: int
    end: SendEnd


class TurnEnded(NamedTuple):
    """A turn has ended."""

    result: TurnResult


class Offered(NamedTuple):
    """A request of the agent is open now; `number` is our id for it."""

    number: int
    request: AgentRequest


class Settled(NamedTuple):
    """A request is no longer open. `why`: answered, interrupted, withdrawn, closed."""

    number: int
    why: str


class Receipted(NamedTuple):
    """An interrupt has its receipt; `None` when the conversation ended first."""

    interrupt: int
    receipt: InterruptReceipt | None


class InterruptStarted(NamedTuple):
    """Call `interrupt_expired(interrupt)` after `seconds`."""

    interrupt: int
    seconds: float


class ControlsKnown(NamedTuple):
    """The controls were listed; `None` when the conversation ended first."""

    controls: tuple[SessionControl, ...] | None


class ControlSettled(NamedTuple):
    """A change of a control has ended; `None` when the conversation ended first."""

    change: int
    end: ControlEnd | None


class EndBackend(NamedTuple):
    """The backend must be ended now. `ask`: by the end of its input first; otherwise by signals at once."""

    ask: bool
    reason: str


Effect = (
    Event
    | SendEnded
    | TurnEnded
    | Offered
    | Settled
    | Receipted
    | InterruptStarted
    | ControlsKnown
    | ControlSettled
    | EndBackend
)
