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
    """The views of an event, in order; most events have one or none.

    An event of an unknown kind or an unexpected shape has no views; this never raises. Our own events (`x-optio-`) have
    none either.
    """
    return views_of_raw(backend_of(event.raw), event.raw)


def views_of_raw(backend: str, raw: dict[str, Any]) -> tuple[View, ...]:
    """The views of a raw event of the backend.

    Args:
        backend: The name of its codec: `claude`, `codex` or `acp`.
        raw: The event, unchanged (`Event.raw`, `TurnResult.raw`).

    Raises:
        KeyError: There is no such backend.
    """
    return views_in(BACKENDS[backend], raw)


def backend_of(raw: dict[str, Any]) -> str:
    """The backend of an event: claude's events have a type, those of the Agent Client Protocol a `jsonrpc` version."""
    return "claude" if "type" in raw else "acp" if "jsonrpc" in raw else "codex"
