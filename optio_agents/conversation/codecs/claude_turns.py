"""The turns in Claude Code's stream: ours, by the uuids of our messages, or turns that the agent began on its own.

Each of our messages has a uuid, which the agent repeats in `command_lifecycle`, in the `init` at the beginning of a
turn, and in the `result` at its end. An `init` without one while none of our turns has begun, and a `result` without
one, belong to a turn that the agent began on its own (measured with 2.1.330).

A version that names no messages (no `command_lifecycle`) gives one result per prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from optio_agents.conversation.codecs.base import (
    AgentTurnBegan,
    Answer,
    Folded,
    Refused,
    Signal,
    TurnBegan,
)
from optio_agents.conversation.values import Event

ANSWERED_BEFORE = "this session has already answered a message of this id"

MESSAGES_KEPT = 32
"""Of how many messages it is remembered to which turn they belong: late events name them."""

Out = list[Event | Signal]


def names_in(record: dict[str, Any]) -> list[str]:
    """The messages that a record names."""
    names = record.get("user_message_uuids")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


class ClaudeTurns:
    """The turns that have not ended, and the messages whose turn is known. Restarts `answer` when a turn begins."""

    def __init__(self, new_turn: Callable[[], int], answer: Answer) -> None:
        self._new_turn = new_turn
        self._answer = answer
        self.ours: int | None = None
        """The turn of the outstanding prompt."""
        self.own: int | None = None
        """A turn that the agent has begun by itself."""
        self.current: int | None = None
        """The turn on which the agent works: its own, else ours once it has begun."""
        self._send = 0  # that of the outstanding prompt
        self._began = False  # the agent works on ours
        self._named = False  # the agent has reported the state of the message
        self._messages: dict[str, int] = {}  # the turns of the last messages, by uuid
        self._steers: dict[str, int] = {}  # by uuid, oldest first: sends whose turn is not known yet

    def prompt(self, send: int, message: str) -> int:
        """A prompt was written; its turn."""
        self.ours = self._new_turn()
        self._began = self._named = False
        self._send = send
        self._belongs([message], self.ours)
        self._look()
        return self.ours

    def steer(self, send: int, message: str) -> None:
        """Note a message that was written into the running turn, or too late for it."""
        self._steers[message] = send

    def of(self, record: dict[str, Any]) -> int | None:
        """The turn of a record: the one that it names, else the current one."""
        if "user_message_uuids" not in record:
            return self.current
        for name in names_in(record):
            if name in self._messages:
                return self._messages[name]
        return self.current

    def note_init(self, record: dict[str, Any], out: Out) -> None:
        """A turn begins."""
        names_ours = self._names_ours(names_in(record))
        if self.ours is not None and (names_ours or not (self._named or self._began or self.own is not None)):
            # It says so, or it is a version that names no messages.
            self._begin_ours(out)
        elif not names_ours and self.own is None and not self._began:
            self._begin_own(out)

    def note_lifecycle(self, record: dict[str, Any], out: Out) -> None:
        """Note the new state of a message; adds the event."""
        name, state = record.get("command_uuid"), record.get("state")
        known = self._messages.get(name) if isinstance(name, str) else None
        out.append(Event(record, self.current if known is None else known))
        if self.ours is None or known != self.ours:
            return
        if state == "completed" and not self._named and not self._began:
            out.append(Refused(self._send, ANSWERED_BEFORE))
            self._end_ours()
            return
        if state == "queued" and self._began and not self._named:
            # So the `init` that came before it began another turn than ours.
            self._began = False
            self._begin_own(out)
        self._named = True
        if state == "started" and self.own is None:
            self._begin_ours(out)

    def result(self, names: set[str], has_origin: bool, out: Out) -> int | None:
        """The turn that ends with a result for the messages `names`; `None` if no open turn does.

        It has not ended yet: the caller adds its end, then calls `end`.
        """
        turn = self._ended_by(names, has_origin, out)
        if turn is not None:
            for name in [name for name in self._steers if name in names]:
                self._belongs([name], turn)
                out.append(Folded(self._steers.pop(name), turn))
        return turn

    def _ended_by(self, names: set[str], has_origin: bool, out: Out) -> int | None:
        if self._names_ours(names):
            if self.own is None:
                return self.ours
            # Our prompt was taken into the turn that the agent had begun by itself.
            out.append(Folded(self._send, self.own))
            self._belongs([name for name, turn in self._messages.items() if turn == self.ours], self.own)
            self._end_ours()
            return self.own
        if names and not names & self._steers.keys():
            return None
        if names and self.current is not None:
            return self.current
        if self.own is None and (self.ours is None or self._named or has_origin):
            if not self._named:
                self._began = False
            self._begin_own(out)  # its beginning was not reported
        return self.ours if self.own is None else self.own

    def end(self, turn: int, out: Out) -> None:
        """End a turn; possibly begin another one."""
        if turn == self.own:
            self.own = None
        else:
            self._end_ours()
        if self._steers and self.ours is None:
            # They came too late for this turn: the agent runs them next, all in one turn.
            self.ours = self._new_turn()
            self._send = next(iter(self._steers.values()))
            self._began = self._named = True
            self._answer.restart()
            self._belongs(self._steers, self.ours)
            out.append(TurnBegan(self.ours, tuple(self._steers.values())))
            self._steers.clear()
        self._look()

    def _names_ours(self, names: Iterable[str]) -> bool:
        return self.ours is not None and any(self._messages.get(name) == self.ours for name in names)

    def _look(self) -> None:
        self.current = self.own if self.own is not None else self.ours if self._began else None

    def _begin_ours(self, out: Out) -> None:
        self.own = None
        if self.ours is not None and not self._began:
            self._began = True
            self._answer.restart()
            out.append(TurnBegan(self.ours))
        self._look()

    def _begin_own(self, out: Out) -> None:
        self.own = self._new_turn()
        self._answer.restart()
        out.append(AgentTurnBegan(self.own))
        self._look()

    def _end_ours(self) -> None:
        self.ours = None
        self._began = self._named = False
        self._look()

    def _belongs(self, messages: Iterable[str], turn: int) -> None:
        recent = list(self._messages.items())[-MESSAGES_KEPT:]
        self._messages = {**dict(recent), **dict.fromkeys(messages, turn)}
