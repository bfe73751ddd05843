"""The interface for tracing: a class of no-ops to override. When it is off (the default), it costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from actors.exits import Exit
    from actors.lifecycle import State


class TracedActor(Protocol):
    """What hooks get for an actor: its `Ref`. It is hashable, and the same object during the actor's life."""

    @property
    def name(self) -> str:
        """The actor's name, which another supervisor's child may have, too."""

    def __hash__(self) -> int: ...


class Hooks:
    """Override what you need, and pass an instance to `open_supervisor(hooks=...)`. Its whole subtree uses it.

    Each method gets the actor's `Ref`, which is its identity: names are unique only among the living children of one
    supervisor. Hooks are called synchronously in the task that sends or receives. They must be quick and must not
    raise: an exception leaves that `tell` or `receive`.
    """

    def sent(self, actor: TracedActor, message: Any) -> Any:
        """A message is about to be queued for the actor. What this returns travels with the message."""
        return None

    def received(self, actor: TracedActor, message: Any, token: Any) -> None:
        """The actor takes the message: its handling begins, and that of the previous one has ended.

        `token` is what `sent` returned. This is called for each message of a batch; the last one is handled longest.
        """

    def handled(self, actor: TracedActor) -> None:
        """The actor handles no message any more: it waits for one, was interrupted, or its run has ended.

        This may not be called between two messages that follow each other at once.
        """

    def moved(self, actor: TracedActor, before: State, after: State, exit: Exit | None) -> None:
        """The actor went from one state to another; `exit` says how it ended, or how its last run did."""
