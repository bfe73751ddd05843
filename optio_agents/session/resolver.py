"""The resolver: the actor that hears every fact in order and lets the judge decide."""

from __future__ import annotations

from collections.abc import Callable

import actors
from optio_agents.session.verdict import Fact, Judge

FACTS_CAPACITY = 1024
"""Facts are few (each kind once, plus troubles): the mailbox is bounded, and never full."""


async def resolve(me: actors.Me[Fact], judge: Judge, react: Callable[[Fact], None]) -> None:
    """Let `judge` hear each fact, then let the session act upon where it stands."""
    async for fact in me:
        judge.hear(fact)
        react(fact)
