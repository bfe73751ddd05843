"""Where tracing hangs in: a class of no-ops to override. Off (the default) it is not even looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.exits import Exit
    from actors.lifecycle import State


class Hooks:
    """Override what you need, and give an instance to `open_supervisor(hooks=...)`; its whole subtree uses
    it.

    Hooks are called synchronously in the task that sends or receives. They must be quick and must not raise:
    what they raise comes out of that `tell` or `receive`.
    """

    def sent(self, name: str, message: Any) -> Any:
        """A message is about to be queued for the actor `name`. What this returns travels with the
        message.
        """
        return None

    def received(self, name: str, message: Any, token: Any) -> None:
        """The actor takes the message; its handling begins. `token` is what `sent` returned."""

    def handled(self, name: str) -> None:
        """The actor asks for its next message, or has ended: what it had received is handled."""

    def moved(self, name: str, before: State, after: State, exit: Exit | None) -> None:
        """The actor went from one state to another; `exit` says how it ended, or how its last run did."""
