"""Which message is sent when, sans-IO.

A message waits in one of two queues. `pending` is for agents with a queue of their own: one message at a time is
written to it, also while the agent works, and the next one follows when the agent has begun to handle it. `held` is for
all others: waiting messages are sent as one prompt when the turn ends. While anything is held, new messages are held,
too, so that they cannot overtake it.

    accepted ──idle, nothing waits──→ direct ──────────────────────────────→ written
        ├─native queue─→ pending ──first in line, none in flight──→ in flight ─┘ done with: the next one
        └─else─────────→ held ──turn ended, or idle, or cut in──→ taken ───────→ written
                            ↑                                        │
                            └──── not written after all: in front ←──┘

A message stays in its queue until it is written. A failed write puts it back in front, and it is announced as waiting
again. `events` collects the transcript's events in order. The owner calls `next_write` until it returns `None`,
performs each write, and reports the result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from optio_agents.steering import events
from optio_agents.steering.busy_send import NATIVE_QUEUE, BusySend
from optio_agents.steering.events import Event

PROMPT_SEPARATOR = "\n\n"
"""Separates the messages of one prompt, and ends a message in a native queue, because agents merge what waits there."""

QUEUE_LIMIT = 1000
"""The most messages that may wait."""

TAKEN_UP = frozenset({"started", "completed"})
"""States of a message that is in the agent's transcript."""

THROWN_AWAY = frozenset({"cancelled", "discarded", "refused"})
"""States of a message that the agent will not handle."""


class SteeringQueueFull(Exception):  # noqa: N818
    """Too many messages wait already. The caller's fault: it sends faster than the agent handles them."""


@dataclass(slots=True, eq=False)
class Message:
    """A user's message, with the text as it was written."""

    id: str
    text: str
    is_announced: bool = False
    is_cutting_in: bool = False
    """Its sender has ended the turn for it. It is sent without being announced as taken."""


@dataclass(slots=True, eq=False)
class Write:
    """Something to send now: `text`, under `uuid`."""

    text: str
    uuid: str | None
    messages: tuple[Message, ...]
    line: Literal["direct", "pending", "held"]
    """The queue of the messages, to which they return if the write fails."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What must happen for a message that cuts in: whether to mark the turn as interrupted, and to end it first."""

    message: Message | None
    marks: bool
    ends_turn: bool


class MessageQueue:
    """The messages of one conversation.

    In all methods, `is_idle` is whether the agent has nothing to do, and `value` what it does at present with a message
    that arrives while it works.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.events: list[Event] = []
        self.held: deque[Message] = deque()
        self.pending: deque[Message] = deque()
        self.in_flight: Message | None = None
        self.writing: Write | None = None
        self.is_closed = False
        self._new_id = new_id
        self._direct: Write | None = None
        self._in_flight_state: str | None = None
        self._is_marked = False
        self._is_resetting = False
        self._interrupters = 0
        self._is_flush_due = False

    @property
    def undelivered(self) -> list[str]:
        """The ids of all messages that were not written, or for which that is unknown."""
        writing = self.writing.messages if self.writing is not None and self.writing.line != "pending" else ()
        flying = [self.in_flight] if self.in_flight is not None else []
        return [each.id for each in (*writing, *flying, *self.pending, *self.held) if each.is_announced]

    def is_busy(self, *, is_idle: bool) -> bool:
        """Whether a new message must wait."""
        return not is_idle or self._is_resetting or self.writing is not None or self._direct is not None

    # Calls of the user.

    def send(self, text: str, *, is_idle: bool, value: BusySend) -> tuple[Message, Write | None]:
        """Accept a message; also return its write if it must be sent at once and alone."""
        self._check_room(1)
        message = Message(self._new_id(), text)
        is_busy = self.is_busy(is_idle=is_idle)
        if not is_busy and not self.held and not self.pending:
            self._forget_in_flight()
            return message, self._send_directly(message)
        if self._is_native(value):
            self._announce(message, waiting=True)
            self.pending.append(message)
        else:
            self._announce(message, waiting=is_busy)
            self.held.append(message)
        return message, None

    def cut_in(self, text: str, *, is_idle: bool, value: BusySend) -> Cut:
        """Accept a message that the running turn must not delay; an empty one only interrupts.

        If the turn has to end first, the owner calls `mark`, `start_interrupt`, and in the end `finish_interrupt`. The
        message keeps its place among those that wait, and is announced by `announce`.
        """
        is_busy = self.is_busy(is_idle=is_idle)
        is_native = self._is_native(value)
        message = None
        if text:
            self._check_room(1)
            message = Message(self._new_id(), text, is_cutting_in=True)
            if not is_busy and not self.held and not self.pending:
                self._forget_in_flight()
                self._send_directly(message)
            else:
                (self.pending if is_native else self.held).append(message)
        marks = (
            not is_idle and not self._is_resetting and (is_native or bool(self.held) or message is not None)
        )
        return Cut(message, marks, marks and value != "cuts-in")

    def announce(self, message: Message) -> None:
        """Add the transcript's event for a message that `cut_in` has accepted, unless it was added already."""
        if not message.is_announced:
            self._announce(message, waiting=False)

    def withdraw(self, message: Message) -> None:
        """Its sender was cancelled: forget the message, unless it was announced or is being sent."""
        if message.is_announced:
            return
        if self._direct is not None and message in self._direct.messages:
            self._direct = None
        for line in (self.pending, self.held):
            if message in line:
                line.remove(message)

    def mark(self) -> bool:
        """Note that the user interrupts. Returns `False` if this turn was interrupted already."""
        if self._is_marked:
            return False
        self._is_marked = True
        self.events.append(events.interrupted())
        return True

    def start_interrupt(self) -> None:
        """Note that the turn is being ended: nothing is sent until `finish_interrupt`."""
        self._interrupters += 1

    def finish_interrupt(self) -> None:
        """The turn has ended, or is not waited for any longer."""
        self._interrupters -= 1

    def unmark(self) -> None:
        """The interrupt could not be made."""
        self._is_marked = False

    def flush(self) -> None:
        """Send waiting messages now, whether or not the turn has ended."""
        self._is_flush_due = bool(self.held or self.pending)

    def requeue(self, messages: Sequence[tuple[str, str]], *, value: BusySend) -> list[str]:
        """Put messages of an earlier run, as pairs of id and text, in front; returns their new ids."""
        self._check_room(len(messages))
        again = [Message(self._new_id(), text, is_announced=True) for _, text in messages]
        for (old_id, _), message in zip(messages, again, strict=True):
            self.events.append(events.requeued(old_id, message.id))
        line = self.pending if self._is_native(value) else self.held
        line.extendleft(reversed(again))
        return [message.id for message in again]

    # Events of the agent.

    def observe(self, *, is_idle: bool, turn_ended: bool, state: tuple[str, str] | None) -> None:
        """Handle an event of the agent: whether it ends the turn, and the new state of a message, if it has one."""
        is_about_it = self.in_flight is not None and state is not None and state[0] == self.in_flight.id
        if is_about_it and state is not None and state[1] in TAKEN_UP | THROWN_AWAY:
            self._in_flight_state = state[1]
        if self._is_resetting:
            return
        if turn_ended or is_idle:
            self._is_marked = False
        if self._in_flight_state is not None or (is_idle and self.writing is None):
            self._forget_in_flight()
        if turn_ended:
            self.flush()

    def begin_reset(self) -> None:
        """The agent's process is being replaced: ignore what it still reports about messages."""
        self._is_resetting = True

    def end_reset(self) -> None:
        """The new process is ready. Messages that the old one did not handle are first in the queue."""
        self._is_resetting = self._is_marked = False
        message, state = self.in_flight, self._in_flight_state
        self._forget_in_flight()
        if message is None or state in TAKEN_UP:
            return
        if state in THROWN_AWAY:
            again = Message(self._new_id(), message.text, is_announced=True)
            self.events.append(events.requeued(message.id, again.id))
            message = again
        self.pending.appendleft(message)

    def close(self) -> None:
        """Send nothing any more. Waiting messages stay in their queue."""
        self.is_closed = True
        self._direct = None

    # Writing.

    def next_write(self, *, is_idle: bool, value: BusySend) -> Write | None:
        """The next write to perform; `None` if there is none. Report its result by `written` or `not_written`."""
        if self.is_closed or self._is_resetting or self._interrupters or self.writing is not None:
            return None
        if self._direct is not None and not is_idle:
            self._wait_after_all(value)
        if self._direct is not None:
            self.writing, self._direct = self._direct, None
        elif self.pending:
            if is_idle:
                self._forget_in_flight()
            if self.in_flight is None and (is_idle or self._is_flush_due or value in NATIVE_QUEUE):
                self.writing = self._write_pending()
        elif self.held and (is_idle or self._is_flush_due):
            self.writing = self._write_held(is_separated=not is_idle and value in NATIVE_QUEUE)
        return self.writing

    def written(self) -> None:
        """The write succeeded: the agent has it."""
        self.writing = None
        self._is_flush_due = False

    def not_written(self) -> None:
        """The write failed: the agent does not have it. Its announced messages wait again, in front."""
        write, self.writing = self.writing, None
        assert write is not None
        again = [message for message in write.messages if message.is_announced]
        for message in again:
            message.is_cutting_in = False
        if write.line == "pending":
            if self.in_flight in write.messages:
                self._forget_in_flight()
                self.pending.extendleft(again)
            return
        self.held.extendleft(reversed(again))
        for message in again:
            self._announce(message, waiting=True)

    def _is_native(self, value: BusySend) -> bool:
        return value in NATIVE_QUEUE and not self.held

    def _check_room(self, count: int) -> None:
        if len(self.held) + len(self.pending) + count > QUEUE_LIMIT:
            raise SteeringQueueFull(f"{QUEUE_LIMIT} messages wait already: the agent takes up none of them")

    def _announce(self, message: Message, *, waiting: bool) -> None:
        message.is_announced = True
        self.events.append(events.queued(message.id, message.text, waiting=waiting))

    def _send_directly(self, message: Message) -> Write:
        self._direct = Write(message.text, message.id, (message,), "direct")
        return self._direct

    def _wait_after_all(self, value: BusySend) -> None:
        """The agent began a turn of its own before the direct write: the message becomes the first that waits."""
        assert self._direct is not None
        (message,), self._direct = self._direct.messages, None
        self._announce(message, waiting=True)
        (self.pending if self._is_native(value) or self.pending else self.held).appendleft(message)

    def _write_pending(self) -> Write:
        message = self.pending.popleft()
        self.in_flight, self._in_flight_state = message, None
        return Write(_separated(message.text), message.id, (message,), "pending")

    def _write_held(self, *, is_separated: bool) -> Write:
        messages = tuple(self.held)
        self.held.clear()
        self._is_flush_due = False
        if taken := [message.id for message in messages if not message.is_cutting_in]:
            self.events.append(events.taken(taken))
        text = PROMPT_SEPARATOR.join(message.text for message in messages)
        uuid = messages[0].id if len(messages) == 1 and not taken else None
        return Write(_separated(text) if is_separated else text, uuid, messages, "held")

    def _forget_in_flight(self) -> None:
        self.in_flight = self._in_flight_state = None


def _separated(text: str) -> str:
    return text if text.endswith(PROMPT_SEPARATOR) else text + PROMPT_SEPARATOR
