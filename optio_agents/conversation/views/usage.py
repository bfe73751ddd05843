"""The tokens and the cost of a model call, a turn or a session."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class UsageScope(enum.Enum):
    """What a `Usage` counts."""

    CALL = "call"
    """One call of the model."""
    TURN = "turn"
    SESSION = "session"
    """Everything since the session began, or since the agent's process started."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and cost; `None` if the backend does not report it.

    `input_tokens` counts everything that the model read: `cached_tokens` (read from a cache) and `cache_write_tokens`
    (written to one) are parts of it. `output_tokens` includes `reasoning_tokens`. `session_cost_usd` is the cost in US
    dollars of the whole session so far, in every scope: no backend reports the cost of one turn.
    `context_tokens` are in the model's context now, of at most `context_window`.
    """

    scope: UsageScope
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    session_cost_usd: float | None = None
    context_tokens: int | None = None
    context_window: int | None = None

    def plus(self, other: Usage) -> Usage:
        """The tokens of both, in the scope of this one; cost and context are those of the later, `other`."""
        return Usage(
            self.scope,
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
            _sum(self.cache_write_tokens, other.cache_write_tokens),
            _sum(self.reasoning_tokens, other.reasoning_tokens),
            other.session_cost_usd,
            other.context_tokens,
            other.context_window,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
