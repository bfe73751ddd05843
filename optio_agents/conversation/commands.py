"""The messages of a conversation's mailbox."""

from __future__ import annotations

from typing import NamedTuple

from optio_agents.conversation.promises import PendingInterrupt, Promise, Sent
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision


class Send(NamedTuple):
    """Queue it."""

    sent: Sent


class Steer(NamedTuple):
    """Add it to the running turn."""

    sent: Sent


class StopAndSend(NamedTuple):
    """Interrupt the running turn, and send it next."""

    sent: Sent
    interrupt: PendingInterrupt


class Withdraw(NamedTuple):
    """Take it back if it still waits; `done` says whether it did."""

    sent: Sent
    done: Promise[bool]


class GiveUp(NamedTuple):
    """Take it back if it still waits; interrupt its turn if that runs."""

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


class StateProbe(NamedTuple):
    """Everything before this has been handled."""

    done: Promise[bool]


class Close(NamedTuple):
    """End the conversation."""


class Heard(NamedTuple):
    """The agent printed this; `b""`: it prints no more."""

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
    | StateProbe
    | Close
    | Heard
    | Gone
    | InterruptExpired
    | StartExpired
)
