"""A session that an agent has kept, and a turn of its past. Plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from optio_agents.conversation.views.values import Text, View

TITLE_LIMIT = 200
"""Characters of a title: agents take the first prompt for it."""


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session that can be resumed."""

    session: str
    """Its id: what `resume` takes."""
    title: str
    """What the agent calls it: a title, or its first prompt."""
    updated: float | None
    """When it was used last, in seconds since 1970; `None` if the agent does not tell."""


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A turn of the past: what its user said, and the typed views of what the agent did."""

    prompt: str
    views: tuple[View, ...] = field(default=())

    @property
    def text(self) -> str:
        """What the agent said to its user, without what its subagents said."""
        texts = (view.text for view in self.views if isinstance(view, Text) and view.parent is None)
        return "".join(texts)


def newest_first(sessions: Iterable[KeptSession], limit: int) -> tuple[KeptSession, ...]:
    """At most `limit` of them, the one that was used last first. Those without a time keep the agent's order, last."""
    ordered = sorted(sessions, key=lambda each: each.updated or 0.0, reverse=True)
    return tuple(ordered[:limit])
