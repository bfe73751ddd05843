"""What task packages import: the smallest surface that every conversation has, whatever stands behind it.

`Conversation` is a runtime-checkable protocol, so that an object of any package (or a test's double) counts
as one; what our own conversation can do beyond it is in `optio_agents.conversation.client`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class PermissionRequest:
    """The agent asks whether it may use a tool. `raw` is the backend's own request, unchanged."""

    tool_name: str
    input: dict[str, Any]
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class PermissionDecision:
    """The answer to a `PermissionRequest`.

    `updated_input` (with "allow") is what the tool runs with instead; a backend that cannot change the
    input is told "deny" in that case, because running the original would be what nobody allowed. `message`
    (with "deny") is what the agent is told, where the backend can tell it.

    Raises:
        ValueError, TypeError: nothing that an agent can be told; raised here, where the mistake is, and in a
        handler a mistake denies.
    """

    behavior: Literal["allow", "deny"]
    updated_input: dict[str, Any] | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be written to the agent."""
        if self.behavior not in ("allow", "deny"):
            raise ValueError(f'behavior is "allow" or "deny", not {self.behavior!r}')
        if self.updated_input is not None:
            json.dumps(self.updated_input, allow_nan=False)


class ConversationClosed(Exception):  # noqa: N818 - named for what happened
    """The conversation has ended, so this can no longer be done. The text says why it ended."""


EventHandler = Callable[[dict[str, Any]], Awaitable[None] | None]
MessageHandler = Callable[[str], Awaitable[None] | None]
PermissionAnswer = PermissionDecision | None
"""What a permission handler returns; `None` leaves the request open for whoever decides it later."""

PermissionHandler = Callable[[PermissionRequest], Awaitable[PermissionAnswer] | PermissionAnswer]
Unsubscribe = Callable[[], None]


@runtime_checkable
class Conversation(Protocol):
    """A dialogue with one running agent."""

    async def send(self, text: str) -> object:
        """Queue `text` for the agent.

        Raises:
            ConversationClosed: it has ended.
        """

    def on_event(self, handler: EventHandler) -> Unsubscribe:
        """Call `handler` with each event: the backend's own dicts, unchanged and in order.

        Ours have a `type` that begins with `x-optio-`. The handler may be sync or async; it is called one
        event at a time, and what it raises is reported and does not reach anybody else.
        """

    def on_message(self, handler: MessageHandler) -> Unsubscribe:
        """Call `handler` once for each turn that has finished, in order, with the agent's final text."""

    def on_permission_request(self, handler: PermissionHandler) -> Unsubscribe:
        """Let `handler` decide permission requests. The newest handler wins; requests wait while there is none."""

    def is_pending(self) -> bool:
        """Whether something that was sent has not been answered yet."""

    async def interrupt(self) -> object:
        """Stop what the agent is doing now; what is queued stays queued."""

    async def close(self) -> object:
        """End the conversation and the agent. Idempotent."""

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is ending."""
