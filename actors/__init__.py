"""An actor runtime on Trio: typed mailboxes, supervision, and cancellation that reaches the running handler.

Where things are, from the bottom up:

    errors.py        every error; each docstring says whose fault it is
    exits.py         how an actor ended, and what it left undone
    lifecycle.py     the states of an actor, as a table
    intensity.py     restart maths: how often, how long to wait, which siblings are restarted, too
    timers.py        keyed timers in a heap, checked when an actor receives
    hooks.py         the interface for tracing
    current.py       which actor the present code belongs to, and which wait for each other
    mailbox.py       the two lanes; begins with an essay, because it is the hard part
    reply.py         the callee's half of an ask
    question.py      messages with a type for their answer
    asks.py          the asks that an actor has not answered
    ask_deadlines.py the deadlines of all asks, watched by one task
    statistics.py    what can be counted
    cell.py          the base of every actor: state, asks, watchers, dead letters, an end
    task_cell.py     the life of an actor with a task: run, interrupt, stop
    ref.py, me.py    the two handles, made from a cell: for others, and the actor's own
    traced.py        the same two, when tracing is on
    spec.py          an actor's function with its arguments
    inline_*.py      the same three (cell, handles, spec) for an actor without a task
    family.py        the engine of a supervisor: the children's lives, restarts, escalation, the ordered end
    supervisor.py    its interface for users: start actors, nest supervisors
    task_tree.py     a text picture of all running actors
    api.py           all public names, re-exported here
    otel.py          tracing with OpenTelemetry; nothing here imports it
    kit/             what many programs build from actors; nothing here imports it
    testing/         the test kit; nothing here imports it

The guide is docs/actors.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

DISTRIBUTION = "optio-agents"
"""Tells this package from another one of the same name: `optio_agents` looks here."""

if TYPE_CHECKING:
    from actors.api import *  # noqa: F403
else:

    def __dir__() -> list[str]:
        return sorted({*globals(), *importlib.import_module("actors.api").__all__})

    def __getattr__(name: str) -> object:
        """Import the runtime at its first use: `import optio_agents` imports this package, and must not pay
        for importing trio.
        """
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        api = importlib.import_module("actors.api")

        globals().update({public: getattr(api, public) for public in api.__all__}, __all__=api.__all__)
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"module 'actors' has no attribute {name!r}") from None
