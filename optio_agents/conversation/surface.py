"""The interface that task packages import: what every conversation has, independent of its implementation.

`Conversation` is a runtime-checkable protocol, so an object of any package (or a test double) is accepted as one. Our
own conversation, which has more methods, is in `optio_agents.conversation.client`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from optio_agents.conversation.sendable import check_json, check_text

Scope: TypeAlias = Literal["once", "session", "always"]
"""How long a permission lasts: for this request, until the agent's session ends, or for good."""


@dataclass(frozen=True)
class PermissionRequest:
    """The agent requests permission to use a tool. `raw` is the backend's own request, unchanged."""

    tool_name: str
    input: dict[str, Any]
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class PermissionDecision:
    """The answer to a `PermissionRequest`.

    Args:
        behavior: "allow" or "deny".
        updated_input: With "allow": the input with which the tool runs instead. A backend that cannot change the input
            gets "deny" in that case, because the original input was not allowed.
        message: With "deny": a text for the agent, if the backend can pass it on (`Capabilities.deny_message`).
        scope: With "allow": how long it is valid. A scope that the backend did not offer (`ToolRequest.scopes`) becomes
            the next narrower scope that it did offer.
        interrupt: With "deny": stop the turn, too.

    Raises:
        ValueError, TypeError: this cannot be sent to the agent. In a handler, the exception denies.
    """

    behavior: Literal["allow", "deny"]
    updated_input: dict[str, Any] | None = None
    message: str | None = None
    scope: Scope = "once"
    interrupt: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be written to the agent."""
        if self.behavior not in ("allow", "deny"):
            raise ValueError(f'behavior is "allow" or "deny", not {self.behavior!r}')
        if self.scope not in ("once", "session", "always"):
            raise ValueError(f'scope is "once", "session" or "always", not {self.scope!r}')
        if self.behavior == "deny" and self.scope != "once":
            raise ValueError("a denial has no scope: it answers this request only")
        if self.behavior == "allow" and self.interrupt:
            raise ValueError("only a denial can interrupt")
        if self.updated_input is not None:
            if not isinstance(self.updated_input, dict):
                raise TypeError(f"updated_input is a dict, not {type(self.updated_input).__name__}")
            check_json("updated_input", self.updated_input)
        if self.message is not None:
            check_text("message", self.message)


class ConversationClosed(Exception):  # noqa: N818 - named for what happened
    """The conversation has ended, so this can no longer be done. The text says why it ended."""


EventHandler = Callable[[dict[str, Any]], Awaitable[None] | None]
MessageHandler = Callable[[str], Awaitable[None] | None]
PermissionAnswer = PermissionDecision | None
"""What a permission handler returns; `None` leaves the request open, to be decided later."""

PermissionHandler = Callable[[PermissionRequest], Awaitable[PermissionAnswer] | PermissionAnswer]
Unsubscribe = Callable[[], None]


@runtime_checkable
class Conversation(Protocol):
    """A dialogue with one running agent."""

    async def send(self, text: str, *, uuid: str | None = None) -> object:
        """Queue `text` for the agent.

        Args:
            text: the message.
            uuid: an id for it; a backend that gives its messages ids of its own may adopt it, others ignore it.

        Raises:
            ConversationClosed: it has ended.
        """

    def on_event(self, handler: EventHandler) -> Unsubscribe:
        """Call `handler` with each event: the backend's own dicts, unchanged and in order.

        Our own events have a `type` that begins with `x-optio-`. The handler may be sync or async. It is called with
        one event at a time. Its exceptions are reported and affect no other handler.
        """

    def on_message(self, handler: MessageHandler) -> Unsubscribe:
        """Call `handler` once for each turn that has finished, in order, with the agent's final text."""

    def on_permission_request(self, handler: PermissionHandler) -> Unsubscribe:
        """Let `handler` decide permission requests. The newest handler wins; requests wait while there is none."""

    def is_pending(self) -> bool:
        """Whether a sent message has not been answered yet."""

    async def interrupt(self) -> object:
        """Stop the agent's present turn. Queued messages stay queued."""

    async def set_control(self, control_id: str, value: str | bool) -> object:
        """Set one of the agent's selectors (`optio_agents.session_controls`); an unknown id does nothing."""

    async def close(self) -> object:
        """End the conversation and the agent. Idempotent."""

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is ending."""
