"""Where tracing hangs in: a class of no-ops to override. Off (the default) it is not even looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from actors.exits import Exit
    from actors.lifecycle import State


class TracedActor(Protocol):
    """What hooks are given of an actor: its `Ref`. It can be a key, and is the same object for the actor's life."""

    @property
    def name(self) -> str:
        """The actor's name, which another supervisor's child may have, too."""

    def __hash__(self) -> int: ...


class Hooks:
    """Override what you need, and give an instance to `open_supervisor(hooks=...)`; its whole subtree uses
    it.

    Each method is given the actor's `Ref`, which is its identity: names are unique only among the living
    children of one supervisor. Hooks are called synchronously in the task that sends or receives. They must be quick
    and must not raise: what they raise comes out of that `tell` or `receive`.
    """

    def sent(self, actor: TracedActor, message: Any) -> Any:
        """A message is about to be queued for the actor. What this returns travels with the message."""
        return None

    def received(self, actor: TracedActor, message: Any, token: Any) -> None:
        """The actor takes the message; its handling begins, and that of the one before has ended.

        `token` is what `sent` returned. Of a batch, each message is received, and the last one is handled longest.
        """

    def handled(self, actor: TracedActor) -> None:
        """The actor has nothing in hand any more: it waits for a message, was interrupted, or its run has ended.

        Between two messages that follow each other at once it may be left out.
        """

    def moved(self, actor: TracedActor, before: State, after: State, exit: Exit | None) -> None:
        """The actor went from one state to another; `exit` says how it ended, or how its last run did."""
