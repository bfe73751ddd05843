"""The messages of a conversation's mailbox."""

from __future__ import annotations

from typing import NamedTuple

from optio_agents.conversation.controls import ControlEnd
from optio_agents.conversation.promises import PendingInterrupt, Promise, Sent
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.session_controls import SessionControl


class Send(NamedTuple):
    """Queue a message."""

    sent: Sent


class Steer(NamedTuple):
    """Add a message to the running turn."""

    sent: Sent


class StopAndSend(NamedTuple):
    """Interrupt the running turn, and send a message next."""

    sent: Sent
    interrupt: PendingInterrupt


class Withdraw(NamedTuple):
    """Withdraw a message if it still waits; `done` gets whether it did."""

    sent: Sent
    done: Promise[bool]


class GiveUp(NamedTuple):
    """Withdraw a message if it still waits; interrupt its turn if that is running."""

    sent: Sent
    interrupt: PendingInterrupt


class Interrupt(NamedTuple):
    """Stop the running turn."""

    interrupt: PendingInterrupt


class Decide(NamedTuple):
    """Answer a permission request."""

    permission: int
    decision: PermissionDecision
    done: Promise[bool]
    """Whether this was the decision, or another one came before it."""


class AnswerRequest(NamedTuple):
    """Answer a question."""

    question: int
    answer: QuestionAnswer
    done: Promise[bool]
    """Whether this was the answer, or another one came before it."""


class ListControls(NamedTuple):
    """Tell the controls; `None` when the conversation ended first."""

    done: Promise[tuple[SessionControl, ...] | None]


class SetControl(NamedTuple):
    """Set a control; `done` says what became of it, `None` when the conversation ended first."""

    change: int
    control_id: str
    value: str | bool
    done: Promise[ControlEnd | None]


class StateProbe(NamedTuple):
    """Settle `done`: all earlier messages have been handled."""

    done: Promise[bool]


class Close(NamedTuple):
    """End the conversation."""


class Heard(NamedTuple):
    """Output of the agent; `b""` is its end."""

    data: bytes


class Gone(NamedTuple):
    """The agent's process has ended."""

    how: str


class InterruptExpired(NamedTuple):
    """The deadline of an interrupt has passed."""

    interrupt: int


class StartExpired(NamedTuple):
    """The deadline for becoming ready has passed."""


Command = (
    Send
    | Steer
    | StopAndSend
    | Withdraw
    | GiveUp
    | Interrupt
    | Decide
    | AnswerRequest
    | ListControls
    | SetControl
    | StateProbe
    | Close
    | Heard
    | Gone
    | InterruptExpired
    | StartExpired
)
