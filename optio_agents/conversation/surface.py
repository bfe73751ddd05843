"""What task packages import: the smallest surface that every conversation has, whatever stands behind it.

`Conversation` is a runtime-checkable protocol, so that an object of any package (or a test's double) counts
as one; what our own conversation can do beyond it is in `optio_agents.conversation.client`.
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
    """The agent asks whether it may use a tool. `raw` is the backend's own request, unchanged."""

    tool_name: str
    input: dict[str, Any]
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class PermissionDecision:
    """The answer to a `PermissionRequest`.

    Args:
        behavior: "allow" or "deny".
        updated_input: With "allow": what the tool runs with instead. A backend that cannot change the input is told
            "deny" in that case, because running the original would be what nobody allowed.
        message: With "deny": what the agent is told, where the backend can tell it (`Capabilities.deny_message`).
        scope: With "allow": how long it holds. What the backend did not offer (`ToolRequest.scopes`) becomes the next
            narrower scope that it did offer.
        interrupt: With "deny": stop the turn, too.

    Raises:
        ValueError, TypeError: the agent cannot be told this. Raised here, where the mistake is; in a handler it denies.
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
"""What a permission handler returns; `None` leaves the request open for whoever decides it later."""

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

    async def set_control(self, control_id: str, value: str | bool) -> None:
        """Set one of the agent's selectors (`optio_agents.session_controls`); an unknown id does nothing."""

    async def close(self) -> object:
        """End the conversation and the agent. Idempotent."""

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is ending."""
