"""Which actor the present code belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

import trio


class Running(Protocol):
    """What the context says about an actor: enough to find cycles of actors that wait for each other."""

    name: str
    task: trio.lowlevel.Task | None
    """The task that runs its function; `None` between two runs."""
    asking: Running | None
    """The actor whose reply its handler waits for."""


current: ContextVar[Running | None] = ContextVar("actors.current", default=None)
"""The actor in whose task, or in a child task of which, this context runs. Its `task` tells the two apart."""
