"""The views of an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optio_agents.conversation.values import Event
from optio_agents.conversation.views.acp import ACP
from optio_agents.conversation.views.claude import CLAUDE
from optio_agents.conversation.views.codex import CODEX
from optio_agents.conversation.views.reading import BackendViews, views_in
from optio_agents.conversation.views.values import View

BACKENDS: Mapping[str, BackendViews] = {each.name: each for each in (CLAUDE, CODEX, ACP)}
"""The tables of the backends, by the names of their codecs."""


def views_of(event: Event) -> tuple[View, ...]:
    """What an event says, in order; most events say one thing or nothing.

    An event of a kind that is not known, or of an odd shape, gives no view; it never raises. Our own events
    (`x-optio-`) give none either.
    """
    return views_of_raw(backend_of(event.raw), event.raw)


def views_of_raw(backend: str, raw: dict[str, Any]) -> tuple[View, ...]:
    """What a raw event of the backend says.

    Args:
        backend: The name of its codec: `claude`, `codex` or `acp`.
        raw: The event, as it came (`Event.raw`, `TurnResult.raw`).

    Raises:
        KeyError: There is no such backend.
    """
    return views_in(BACKENDS[backend], raw)


def backend_of(raw: dict[str, Any]) -> str:
    """Whose event it is: claude's have a type, those of the Agent Client Protocol its version of JSON-RPC."""
    return "claude" if "type" in raw else "acp" if "jsonrpc" in raw else "codex"
