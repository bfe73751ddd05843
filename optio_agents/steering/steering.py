"""A user's messages to one conversation, also while the agent works.

All rules are in `message_queue.py`; this module waits. One task at a time performs the queue's writes, and it ends when
there is nothing to send. Every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from optio_agents.conversation.surface import ConversationClosed
from optio_agents.steering.busy_send import BusySend
from optio_agents.steering.events import Event
from optio_agents.steering.message_queue import Message, MessageQueue, Write

T = TypeVar("T")

TURN_END_TIMEOUT_S = 15.0
"""Seconds to wait for the end of an interrupted turn."""

SEND_TIMEOUT_S = 60.0
"""Seconds that the conversation may take to accept one message. A message that it did not accept waits again."""

Lifecycle = Callable[[Event], tuple[str, str] | None]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SendOutcome:
    """An accepted message; `queued`: whether it waits, or other messages wait before it."""

    id: str
    queued: bool


class Steering:
    """Sends messages to `conversation` when its agent can take them.

    Construct it anywhere; its coroutines run on asyncio.

    Args:
        conversation: Has `send(text, uuid=...)` (or `send(text)`), `interrupt()`, `is_pending()`, `on_event`, `closed`.
        busy_send: What the agent does at present with a message that arrives while it works. Called at every decision.
        emit: Takes the transcript's events, see `events.py`. Must not block.
        is_turn_end: Whether an event of the conversation ends a turn.
        turn_end_timeout_s: Seconds to wait for the end of an interrupted turn.
        new_id: Makes the messages' ids; UUIDs by default.
        command_lifecycle: Returns the id and the new state of the message that an event is about. With `started`,
            `completed`, `cancelled`, `discarded` or `refused` the message is no longer in flight.

    A failure of `emit`, `is_turn_end` or `command_lifecycle` is logged, and its event is ignored. A message that the
    conversation did not accept waits, in front, for the next event or call.
    """

    def __init__(
        self,
        conversation: Any,
        *,
        busy_send: Callable[[], BusySend],
        emit: Callable[[Event], None],
        is_turn_end: Callable[[Event], bool],
        turn_end_timeout_s: float = TURN_END_TIMEOUT_S,
        new_id: Callable[[], str] | None = None,
        command_lifecycle: Lifecycle | None = None,
    ) -> None:
        self._conversation = conversation
        self._busy_send = busy_send
        self._emit = emit
        self._is_turn_end = is_turn_end
        self._turn_end_timeout = turn_end_timeout_s
        self._command_lifecycle = command_lifecycle
        self._queue = MessageQueue(new_id or (lambda: str(uuid.uuid4())))
        self._sends_uuid = _takes_uuid(conversation)
        self._interrupting = asyncio.Lock()
        self._turn_ended = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._errors: dict[Write, BaseException] = {}
        self._unsubscribe: Callable[[], None] | None = conversation.on_event(self._observe)

    @property
    def held_ids(self) -> list[str]:
        """The messages that wait for the end of the turn, in order."""
        return [message.id for message in self._queue.held if message.is_announced]

    @property
    def pending_ids(self) -> list[str]:
        """The messages that wait until the agent handles the previous one, in order."""
        return [message.id for message in self._queue.pending if message.is_announced]

    @property
    def in_flight_id(self) -> str | None:
        """The message that was written to the agent's own queue and that it has not begun to handle."""
        return None if self._queue.in_flight is None else self._queue.in_flight.id

    async def send_when_ready(self, text: str) -> SendOutcome:
        """Send `text` as soon as the agent can take it, after all waiting messages.

        Returns when it is sent or has been queued. If this is cancelled before the message is announced, the message is
        withdrawn.

        Raises:
            ConversationClosed: the conversation has ended, or this was closed.
            SteeringQueueFull: too many messages wait.
            Exception: the conversation refused it while nothing waited; then it is not kept.
        """
        self._check_open()
        message, direct = self._queue.send(text, is_idle=self._is_idle, value=self._value)
        await self._send_what_is_due(message)
        if direct is not None and (error := self._errors.pop(direct, None)) is not None:
            raise error
        return SendOutcome(message.id, queued=direct is None)

    async def interrupt_and_send(self, text: str, *, up_to: str | None = None) -> str | None:
        """End the running turn, and send `text` (with what is held, as one prompt). Empty text only interrupts.

        Returns when the agent has the message. It waits at most `turn_end_timeout_s` for the end of the turn, and as
        long again until the message is accepted; after that the message is first in the queue.

        Args:
            text: The message.
            up_to: Ignored.

        Returns:
            The message's id; `None` if `text` is empty.

        Raises:
            ConversationClosed, SteeringQueueFull: see `send_when_ready`.
        """
        async with self._interrupting:
            self._check_open()
            cut = self._queue.cut_in(text, is_idle=self._is_idle, value=self._value)
            is_first = cut.marks and self._queue.mark()
            message = cut.message
            # A message in the agent's own queue is announced now; a held one when the turn has ended.
            if message is not None and not (cut.ends_turn and message in self._queue.held):
                self._queue.announce(message)
            self._tell()
            try:
                if cut.ends_turn:
                    await self._end_turn(self._conversation.interrupt if is_first else None)
                if message is not None:
                    self._queue.announce(message)
                if message is not None or cut.marks:
                    self._queue.flush()
                await self._send_what_is_due(message, seconds=self._turn_end_timeout)
            except BaseException:
                if message is not None:
                    self._queue.withdraw(message)
                self._kick()  # what waited for the end of the turn
                raise
        return None if message is None else message.id

    async def interrupt(self) -> None:
        """End the running turn. Waits for nothing else; a second call in the same turn does nothing.

        Raises:
            ConversationClosed: see `send_when_ready`.
        """
        self._check_open()
        if self._is_idle:
            await self._conversation.interrupt()
        elif self._queue.mark():
            self._tell()
            try:
                await self._conversation.interrupt()
            except BaseException:
                self._queue.unmark()
                raise

    async def requeue(self, messages: Sequence[tuple[str, str]]) -> list[str]:
        """Put what an earlier run left unsent in front of everything, as pairs of its id and text.

        Returns:
            The new ids.

        Raises:
            ConversationClosed, SteeringQueueFull: see `send_when_ready`.
        """
        self._check_open()
        ids = self._queue.requeue(messages, value=self._value)
        await self._send_what_is_due(None)
        return ids

    def begin_transport_reset(self) -> None:
        """The agent's process is about to be replaced: send nothing until `reset_transport`."""
        self._queue.begin_reset()

    async def reset_transport(self) -> None:
        """The new process is ready: send again what the old one did not handle, then the waiting messages."""
        await self.settle()
        self._queue.end_reset()
        await self._send_what_is_due(None)

    async def settle(self) -> None:
        """Wait for the send in progress and the due ones after it. Each has a time limit."""
        while self._sender is not None and not self._sender.done():
            await asyncio.wait([self._sender])

    def close(self) -> None:
        """Send nothing any more, stop a send in progress, and log what was not delivered. Idempotent."""
        if self._queue.is_closed:
            return
        self._queue.close()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._sender is not None:
            self._sender.cancel()
        if undelivered := self._queue.undelivered:
            _logger.warning("closed; not delivered: %s", ", ".join(undelivered))

    @property
    def _is_idle(self) -> bool:
        return not self._conversation.is_pending()

    @property
    def _value(self) -> BusySend:
        try:
            return self._busy_send()
        except Exception:
            _logger.exception("busy_send failed; the agent is taken to do anything")
            return "unsafe"

    def _check_open(self) -> None:
        if self._queue.is_closed:
            raise ConversationClosed("messages are not sent any more: this was closed")
        if self._conversation.closed:
            raise ConversationClosed("the conversation has ended")

    # Events of the agent.

    def _observe(self, event: Event) -> None:
        turn_ended = self._guarded(self._is_turn_end, event, default=False)
        lifecycle = self._command_lifecycle
        state = None if lifecycle is None else self._guarded(lifecycle, event, default=None)
        is_idle = self._is_idle
        self._queue.observe(is_idle=is_idle, turn_ended=turn_ended, state=state)
        if turn_ended or is_idle:
            self._turn_ended.set()
        self._kick()

    async def _end_turn(self, interrupt: Callable[[], Any] | None) -> None:
        """Interrupt the turn, unless that was done already, and wait for its end; one deadline for both."""
        self._turn_ended.clear()
        self._queue.start_interrupt()
        try:
            async with asyncio.timeout(self._turn_end_timeout):
                if interrupt is not None:
                    await interrupt()
                await self._turn_ended.wait()
        except TimeoutError:
            _logger.warning("no turn end within %g s of the interrupt: going on", self._turn_end_timeout)
        except ConversationClosed:
            raise
        except Exception:
            self._queue.unmark()
            _logger.exception("the turn could not be interrupted: going on")
        finally:
            self._queue.finish_interrupt()

    # Sending.

    async def _send_what_is_due(self, message: Message | None, *, seconds: float | None = None) -> None:
        """Wait at most `seconds` until everything due is sent. If cancelled, `message` may be withdrawn."""
        self._kick()
        try:
            if seconds is None:
                await self.settle()
            else:
                async with asyncio.timeout(seconds):
                    await self.settle()
        except TimeoutError:
            _logger.warning("the conversation did not accept a message within %g s: it waits", seconds)
        except asyncio.CancelledError:
            if message is not None:
                self._queue.withdraw(message)
            raise

    def _kick(self) -> None:
        """Start the sender if there is something to send."""
        self._tell()
        if self._sender is None or self._sender.done():
            write = self._next()
            if write is not None:
                self._sender = asyncio.ensure_future(self._send(write))
                self._sender.add_done_callback(self._sender_ended)

    def _next(self) -> Write | None:
        if self._conversation.closed:
            return None
        write = self._queue.next_write(is_idle=self._is_idle, value=self._value)
        self._tell()
        return write

    async def _send(self, write: Write | None) -> None:
        """Perform one write after another until one fails. The next event or call tries again then."""
        while write is not None:
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    if self._sends_uuid:
                        await self._conversation.send(write.text, uuid=write.uuid)
                    else:
                        await self._conversation.send(write.text)
            except BaseException as error:
                self._failed(write, error)
                if not isinstance(error, Exception):
                    raise
                return
            self._queue.written()
            write = self._next()

    def _sender_ended(self, sender: asyncio.Task[None]) -> None:
        if sender.cancelled() and self._queue.writing is not None:  # before its first step
            self._failed(self._queue.writing, asyncio.CancelledError())

    def _failed(self, write: Write, error: BaseException) -> None:
        self._queue.not_written()
        if not self._queue.is_closed:
            self._tell()
        self._queue.events.clear()
        if write.line == "direct" and not any(message.is_announced for message in write.messages):
            self._errors[write] = error
        elif isinstance(error, Exception):
            _logger.warning("a message could not be sent, and waits: %r", error)

    def _tell(self) -> None:
        """Emit the events that the queue has collected."""
        while self._queue.events:
            event = self._queue.events.pop(0)
            self._guarded(self._emit, event, default=None)

    @staticmethod
    def _guarded(function: Callable[[Event], T], event: Event, *, default: T) -> T:
        try:
            return function(event)
        except Exception:
            _logger.exception("%s failed; the event is taken to say nothing", function)
            return default


def _takes_uuid(conversation: Any) -> bool:
    try:
        parameters = inspect.signature(conversation.send).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(each.name == "uuid" or each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
