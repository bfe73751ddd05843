"""`Steering` for the conversations that this package brings, whatever agent is at the other end.

They have a queue of their own, which answers one message after the other and merges none, for agents with and without
one. So every backend is steered as one that queues to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optio_agents.conversation.from_asyncio import AsyncioConversation
from optio_agents.conversation.surface import Unsubscribe
from optio_agents.steering.events import Event
from optio_agents.steering.steering import TURN_END_TIMEOUT_S, Steering

TURN_ENDED = "x-optio-turn-ended"
"""The event that `Steered` adds: the backends' own events differ in how they tell that a turn has ended."""


class Steered:
    """An `AsyncioConversation` with an event at the end of each turn."""

    def __init__(self, conversation: AsyncioConversation) -> None:
        self._conversation = conversation

    async def send(self, text: str, *, uuid: str | None = None) -> object:
        """See `AsyncioConversation.send`."""
        return await self._conversation.send(text, uuid=uuid)

    async def interrupt(self) -> object:
        """See `AsyncioConversation.interrupt`."""
        return await self._conversation.interrupt()

    def is_pending(self) -> bool:
        """See `AsyncioConversation.is_pending`."""
        return self._conversation.is_pending()

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is ending."""
        return self._conversation.closed

    def on_event(self, handler: Callable[[Event], Any]) -> Unsubscribe:
        """Call `handler` with each event, and with one at the end of each turn."""
        unsubscribe = self._conversation.on_event(handler)
        without_turns = self._conversation.on_message(lambda _: handler({"type": TURN_ENDED}))

        def both() -> None:
            unsubscribe()
            without_turns()

        return both


def steer(
    conversation: AsyncioConversation,
    *,
    emit: Callable[[Event], None] = lambda _: None,
    turn_end_timeout_s: float = TURN_END_TIMEOUT_S,
) -> Steering:
    """A `Steering` over one of our conversations.

    Args:
        conversation: What `open_asyncio_conversation` or a task with `conversing(...)` gives.
        emit: Takes the transcript's events, see `events.py`.
        turn_end_timeout_s: Seconds that the end of an interrupted turn is waited for.
    """
    return Steering(
        Steered(conversation),
        busy_send=lambda: "queues-to-end",
        emit=emit,
        is_turn_end=lambda event: event.get("type") == TURN_ENDED,
        turn_end_timeout_s=turn_end_timeout_s,
    )
