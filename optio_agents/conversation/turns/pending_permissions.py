"""The pending of open permission requests: our number for each, the backend's own key, and one answer."""

from __future__ import annotations

from typing import NamedTuple

from optio_agents.conversation.codecs.base import Codec, Key, PermissionAsked
from optio_agents.conversation.surface import PermissionDecision, PermissionRequest
from optio_agents.conversation.turns.effects import Effect, Offered, Settled

OPEN_LIMIT = 256
"""More requests than this are denied unseen: no backend asks that much, so something is broken."""

UNCHANGEABLE = "Allowed only with other input, which this agent cannot take; so it is denied."


class _Open(NamedTuple):
    key: Key
    request: PermissionRequest


class PendingPermissions:
    """Settles each request exactly once, and tells the backend. Which requests may be opened is for the rules.

    Numbers are never used again; keys are, by some backends, once the request before is settled.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._open: dict[int, _Open] = {}
        self._numbers: dict[Key, int] = {}
        self._last_number = 0

    def __len__(self) -> int:
        """How many requests are open."""
        return len(self._open)

    def __contains__(self, key: object) -> bool:
        """Whether the backend's `key` names an open request."""
        return key in self._numbers

    def open(self, asked: PermissionAsked) -> list[Effect]:
        """A request that somebody will decide; past `OPEN_LIMIT`, nobody."""
        if len(self._open) >= OPEN_LIMIT:
            self._codec.cancel_permission(asked.key)
            return []
        self._last_number += 1
        request = PermissionRequest(asked.tool_name, asked.input, asked.raw)
        self._open[self._last_number] = _Open(asked.key, request)
        self._numbers[asked.key] = self._last_number
        return [Offered(self._last_number, request)]

    def decide(self, number: int, decision: PermissionDecision) -> list[Effect]:
        """Answer a request. One that is settled already stays as it was: no effect."""
        known = self._open.get(number)
        if known is None:
            return []
        changed = decision.updated_input
        changes = decision.behavior == "allow" and changed is not None and changed != known.request.input
        if changes and not self._codec.capabilities.change_input:
            # Running the original would be what nobody allowed.
            decision = PermissionDecision("deny", message=UNCHANGEABLE)
        self._codec.decide(known.key, decision)
        return [self._settle(number, "answered")]

    def withdraw(self, key: Key) -> list[Effect]:
        """The backend does not wait for this one any more; it is told nothing."""
        number = self._numbers.get(key)
        return [] if number is None else [self._settle(number, "withdrawn")]

    def cancel(self, why: str) -> list[Effect]:
        """Nobody will decide those that are open; the backend is told."""
        out: list[Effect] = []
        for number, known in list(self._open.items()):
            self._codec.cancel_permission(known.key)
            out.append(self._settle(number, why))
        return out

    def _settle(self, number: int, why: str) -> Settled:
        del self._numbers[self._open.pop(number).key]
        return Settled(number, why)
