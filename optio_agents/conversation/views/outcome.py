"""The outcome of a whole turn, from the event that ends it."""

from __future__ import annotations

from typing import NamedTuple

from optio_agents.conversation.views.errors import AgentError, ErrorKind
from optio_agents.conversation.views.reading import BackendViews, Record, views_in
from optio_agents.conversation.views.usage import Usage, UsageScope


class Outcome(NamedTuple):
    """The usage and the error of a turn; `None` if unknown, or if it has not failed."""

    usage: Usage | None = None
    error_kind: ErrorKind | None = None


NOT_TOLD = Outcome()


def outcome_in(table: BackendViews, raw: Record) -> Outcome:
    """The outcome in `raw`, an event that ends a turn."""
    usage: Usage | None = None
    error_kind: ErrorKind | None = None
    for view in views_in(table, raw):
        if isinstance(view, Usage) and view.scope is UsageScope.TURN:
            usage = view
        elif isinstance(view, AgentError) and not view.will_retry:
            error_kind = view.kind
    return Outcome(usage, error_kind)
