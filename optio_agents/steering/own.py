"""`Steering` for the conversations of this package, with any agent.

A conversation has a queue of its own, for agents with and without one. It handles one message after the other and
merges none. So every backend is steered as one that queues to the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from optio_agents.conversation.from_asyncio import AsyncioConversation
from optio_agents.conversation.promises import Sent
from optio_agents.conversation.surface import Unsubscribe
from optio_agents.steering.events import Event
from optio_agents.steering.steering import TURN_END_TIMEOUT_S, Steering

ANSWERED = "x-optio-answered"
"""The event that `Steered` adds when a message's turn has ended, because each backend reports that differently."""


class Steered:
    """An `AsyncioConversation` that adds an event when the turn of a message has ended."""

    def __init__(self, conversation: AsyncioConversation) -> None:
        self._conversation = conversation
        self._handlers: list[Callable[[Event], Any]] = []
        self._following: set[asyncio.Task[None]] = set()

    async def send(self, text: str, *, uuid: str | None = None) -> None:
        """See `AsyncioConversation.send`."""
        sent = await self._conversation.send(text, uuid=uuid)
        following = asyncio.ensure_future(self._follow(sent, uuid))
        self._following.add(following)
        following.add_done_callback(self._following.discard)

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
        """Call `handler` with each event, and at the end of each message."""
        unsubscribe = self._conversation.on_event(handler)
        self._handlers.append(handler)

        def both() -> None:
            unsubscribe()
            self._handlers.remove(handler)
            if not self._handlers:
                for following in self._following:
                    following.cancel()

        return both

    async def _follow(self, sent: Sent, uuid: str | None) -> None:
        """Wait for the end of one message. The conversation no longer counts it as pending then."""
        await self._conversation.end_of(sent)
        for handler in list(self._handlers):
            handler({"type": ANSWERED, "id": uuid})


def steer(
    conversation: AsyncioConversation,
    *,
    emit: Callable[[Event], None] = lambda _: None,
    turn_end_timeout_s: float = TURN_END_TIMEOUT_S,
) -> Steering:
    """A `Steering` over one of our conversations.

    Args:
        conversation: From `open_asyncio_conversation`, or from a task with `conversing(...)`.
        emit: Takes the transcript's events, see `events.py`.
        turn_end_timeout_s: Seconds to wait for the end of an interrupted turn.
    """

    def lifecycle(event: Event) -> tuple[str, str] | None:
        answered = event.get("type") == ANSWERED and event["id"] is not None
        return (event["id"], "completed") if answered else None

    return Steering(
        Steered(conversation),
        busy_send=lambda: "queues-to-end",
        emit=emit,
        is_turn_end=lambda event: event.get("type") == ANSWERED,
        turn_end_timeout_s=turn_end_timeout_s,
        command_lifecycle=lifecycle,
    )
