"""The open requests of an agent: our number for each, the backend's own key, and one answer.

A request stays open until it is answered or the backend withdraws it, even if turns end meanwhile: a subagent's request
may outlive the turn in which it was made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from optio_agents.conversation.codecs.base import Codec, Key, PermissionAsked, QuestionAsked
from optio_agents.conversation.codecs.weight import weight_of
from optio_agents.conversation.requests import AgentRequest, QuestionAnswer, QuestionRequest, ToolRequest
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.turns.effects import Effect, Offered, Settled

OPEN_LIMIT = 256
"""More requests than this are denied unseen: no backend asks that much, so something is broken."""

WEIGHT_LIMIT = 256 * 1024 * 1024
"""How much memory the open requests may take together, in bytes (estimated); more are denied unseen."""

UNCHANGEABLE = "Allowed only with other input, which this agent cannot take; so it is denied."
AMBIGUOUS = (
    "Two requests came under one name, so that the answer would not say which one it allows; both are denied."
)


@dataclass(slots=True)
class _Open:
    key: Key
    request: AgentRequest
    weight: int
    ambiguous: bool = False
    """Another request came under the same key while this one was open."""


class PendingRequests:
    """Settles each request exactly once, and answers the backend. The turn rules decide which requests may be opened.

    Numbers are never reused. Some backends reuse a key after its request was settled.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._open: dict[int, _Open] = {}
        self._numbers: dict[Key, int] = {}
        self._last_number = 0
        self._weight = 0

    def __len__(self) -> int:
        """The number of open requests."""
        return len(self._open)

    def open(self, asked: PermissionAsked | QuestionAsked) -> list[Effect]:
        """Open a request, or cancel it past the limits. A repeated one is the same request."""
        if asked.key in self._numbers:
            known = self._open[self._numbers[asked.key]]
            known.ambiguous = known.ambiguous or known.request.raw != _raw(asked)
            return []
        weight = weight_of(json.dumps(_raw(asked)))
        if len(self._open) >= OPEN_LIMIT or (self._open and self._weight + weight > WEIGHT_LIMIT):
            self._codec.cancel_request(asked.key)
            return []
        self._last_number += 1
        self._weight += weight
        request = asked.request if isinstance(asked, QuestionAsked) else _tool_request(asked)
        self._open[self._last_number] = _Open(asked.key, request, weight)
        self._numbers[asked.key] = self._last_number
        return [Offered(self._last_number, request)]

    def decide(self, number: int, decision: PermissionDecision) -> list[Effect]:
        """Answer a permission request. One that is settled already stays as it was: no effect."""
        known = self._open.get(number)
        if known is None or not isinstance(known.request, ToolRequest):
            return []
        if decision.behavior == "allow" and not self._codec.capabilities.change_input:
            # The backend runs its latest version of the request. Allow only what was decided about.
            changed = decision.updated_input
            if changed is not None and changed != known.request.input:
                decision = PermissionDecision("deny", message=UNCHANGEABLE)
            elif known.ambiguous:
                decision = PermissionDecision("deny", message=AMBIGUOUS)
        self._codec.decide(known.key, decision)
        return [self._settle(number, "answered")]

    def answer(self, number: int, answer: QuestionAnswer) -> list[Effect]:
        """Answer a question. One that is settled already stays as it was: no effect."""
        known = self._open.get(number)
        if known is None or not isinstance(known.request, QuestionRequest):
            return []
        self._codec.answer(known.key, answer)
        return [self._settle(number, "answered")]

    def withdraw(self, key: Key) -> list[Effect]:
        """Remove a request for which the backend no longer waits, without an answer."""
        number = self._numbers.get(key)
        return [] if number is None else [self._settle(number, "withdrawn")]

    def cancel(self, why: str) -> list[Effect]:
        """Cancel all open requests, and tell the backend."""
        return self._cancel(list(self._open), why)

    def cancel_own(self, why: str) -> list[Effect]:
        """Cancel the requests of the agent itself; those of its subagents stay open."""
        return self._cancel(
            [number for number, each in self._open.items() if each.request.asker is None], why
        )

    def cancel_of(self, turn: int, why: str) -> list[Effect]:
        """Cancel the requests of `turn`."""
        return self._cancel([number for number, each in self._open.items() if each.request.turn == turn], why)

    def _cancel(self, numbers: list[int], why: str) -> list[Effect]:
        out: list[Effect] = []
        for number in numbers:
            self._codec.cancel_request(self._open[number].key)
            out.append(self._settle(number, why))
        return out

    def _settle(self, number: int, why: str) -> Settled:
        known = self._open.pop(number)
        self._weight -= known.weight
        del self._numbers[known.key]
        return Settled(number, why)


def _raw(asked: PermissionAsked | QuestionAsked) -> object:
    return asked.request.raw if isinstance(asked, QuestionAsked) else asked.raw


def _tool_request(asked: PermissionAsked) -> ToolRequest:
    return ToolRequest(
        asked.tool_name,
        asked.input,
        asked.raw,
        turn=asked.turn,
        asker=asked.asker,
        scopes=asked.scopes,
        covers=asked.covers,
    )
