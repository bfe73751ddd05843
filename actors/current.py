"""Which actor the present code belongs to, and which actors wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar, Token
from typing import Protocol
from weakref import ref

import trio

MAX_CYCLE = 20
"""How many actors a cycle of waits is followed through, for the text of an error."""


class Running(Protocol):
    """An actor in its task's context: enough to find cycles of actors that wait for each other."""

    name: str
    task: trio.lowlevel.Task | None
    """The task that runs its function; `None` between two runs, and of an actor without a task."""
    asking: Running | None
    """The actor whose reply its handler waits for."""
    telling: Running | None
    """The actor in whose full mailbox its handler waits for room."""

    @property
    def is_only_reader(self) -> bool:
        """Whether only its own task receives from its mailbox."""

    @property
    def is_leaving(self) -> bool:
        """Whether its supervisor, or one above that, is being left."""


current: ContextVar[Callable[[], Running | None]] = ContextVar("actors.current", default=lambda: None)
"""Set by `become`, read by `current_actor`. By a weak reference: others keep copies of a context for as long as they
like (asyncio those of cancelled timers, until their time has come), and must not keep a whole session alive with it.
"""


def become(actor: Running) -> Token[Callable[[], Running | None]]:
    """Note that what runs in this context from now on belongs to an actor."""
    return current.set(ref(actor))


def current_actor(context: Context | None = None) -> Running | None:
    """The actor in whose task, or in a child task of which, a context runs. Its `task` tells the two apart.

    Args:
        context: of another task; None: the present one.
    """
    if context is None:
        return current.get()()
    reference = context.get(current)
    return None if reference is None else reference()


def cycle_of_waits(begin: Running) -> str:
    """The names of the actors that wait for each other, if the chain that begins at `begin` returns to it."""
    return _cycle(begin, lambda actor: actor.asking or actor.telling)


def cycle_of_tells(begin: Running) -> str:
    """The same for actors that wait for room in a mailbox. Such a cycle has no deadline that could end it."""
    return _cycle(begin, lambda actor: actor.telling if actor.is_only_reader else None)


def _cycle(begin: Running, follow: Callable[[Running], Running | None]) -> str:
    names, actor = [begin.name], follow(begin)
    while actor is not None and len(names) <= MAX_CYCLE:
        names.append(actor.name)
        if actor is begin:
            return f"they wait for each other: {' -> '.join(names)}"
        actor = follow(actor)
    return ""
