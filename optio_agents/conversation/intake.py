"""The owner's end of the mailbox: it accepts and numbers commands, and raises the error once the mailbox is closed."""

from __future__ import annotations

from contextlib import suppress

import trio

import actors
from optio_agents.conversation import commands
from optio_agents.conversation.actor_state import Core
from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.promises import PendingInterrupt, Sent
from optio_agents.conversation.sendable import check_name, check_text
from optio_agents.conversation.surface import ConversationClosed
from optio_agents.conversation.values import SendQueueFull, Unsupported

LET_GO_SECONDS = 5.0
"""How long one who is being cancelled waits for room in the mailbox. Its actor never waits, so there is room."""


class Intake:
    """Passes the owner's commands to the conversation's actor. `name` is the agent's name."""

    def __init__(self, name: str, core: Core, ref: actors.Ref[commands.Command]) -> None:
        self._name = name
        self._core = core
        self._ref = ref
        self._numbers = 0

    def new_sent(self, text: str, extras: Extras = NO_EXTRAS) -> Sent:
        """A new send, if one can be accepted.

        Raises:
            TypeError, ValueError: the text or its id cannot be sent.
            ConversationClosed: it has ended, or is ending.
            SendQueueFull: too many sends wait already.
            Unsupported: the backend cannot take the extras.
        """
        check_text("what is sent", text)
        if extras.name is not None:
            check_name(extras.name)
        if extras is not NO_EXTRAS and (reason := self._core.turn_state.codec.why_not(extras)) is not None:
            raise Unsupported(f"{self._name}: {reason}")
        if self._core.turn_state.closed is not None:
            raise self.closed_error()
        if self._core.waiting >= self._core.options.queue_limit:
            raise SendQueueFull(f"{self._core.waiting} sends wait already")
        return Sent(self._next_number(), text, extras)

    def new_interrupt(self, seconds: float | None = None) -> PendingInterrupt:
        """An interrupt whose turn must have ended within `seconds` (the option's by default).

        Raises:
            TypeError, ValueError: `seconds` is no number of seconds.
        """
        if seconds is None:
            seconds = self._core.options.interrupt_seconds
        if not seconds >= 0:
            raise ValueError(f"seconds must be 0 or more, not {seconds}")
        return PendingInterrupt(self._next_number(), seconds)

    def new_change(self) -> int:
        """The number of a change of a control."""
        return self._next_number()

    async def accept(self, sent: Sent, command: commands.Command) -> Sent:
        """Put the command with `sent` into the mailbox. From then on the send ends exactly once.

        Raises:
            ConversationClosed: it has ended, and the send was not accepted.
        """
        self._core.accept(sent)
        try:
            await self.tell(command)
        except BaseException:
            self._core.forget(sent)
            raise
        return sent

    async def tell(self, command: commands.Command) -> None:
        """Put the command into the mailbox.

        Raises:
            ConversationClosed: it has ended.
        """
        try:
            await self._ref.tell(command)
        except actors.ActorStopped:
            raise self.closed_error() from None

    async def let_go(self, command: commands.Command) -> None:
        """Put the command into the mailbox although we are being cancelled, if the actor still runs."""
        deadline = trio.current_time() + LET_GO_SECONDS
        with trio.CancelScope(shield=True, deadline=deadline), suppress(ConversationClosed):
            await self.tell(command)

    def closed_error(self) -> ConversationClosed:
        """The exception for everything that an ended conversation cannot do."""
        reason = self._core.turn_state.closed
        return ConversationClosed(f"the conversation with {self._name} has ended: {reason}")

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers
