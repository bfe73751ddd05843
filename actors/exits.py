"""How an actor ended, and which messages it did not handle."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class ExitKind(enum.Enum):
    """The four ways in which an actor ends."""

    FINISHED = "finished"
    """Its function returned by itself."""
    STOPPED = "stopped"
    """It was asked to stop, and did so in order."""
    FAILED = "failed"
    """Its function raised."""
    CANCELLED = "cancelled"
    """It was cancelled: by `Ref.cancel`, by a stop's deadline, or because the block around it was
    cancelled.
    """


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was accepted, and then not (or not completely) handled.

    `why` is the reason, `target` the name of the actor.
    """

    message: Any
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of an actor, for watchers and as the result of `Ref.wait`.

    `reason` is the argument of the stop or cancel, `cause` the exception of a failure. `dead_letters` are the messages
    that it had accepted and did not handle: the one in hand at a failure first, then in mailbox order. (Messages that
    were dropped, or cut off by an interrupt or an earlier failure, went to the supervisor's `on_dead_letter` at once.)
    """

    name: str
    kind: ExitKind
    reason: str | None = None
    cause: BaseException | None = None
    dead_letters: tuple[DeadLetter, ...] = ()

    def drop_traceback(self) -> None:
        """Free the frames of the failed run: drop the tracebacks of `cause` and of the exceptions that led to it."""
        todo = [self.cause]
        seen: set[int] = set()
        while todo:
            error = todo.pop()
            if error is None or id(error) in seen:
                continue
            seen.add(id(error))
            error.__traceback__ = None
            todo += [error.__cause__, error.__context__]
            if isinstance(error, BaseExceptionGroup):
                todo += error.exceptions

    def describe(self) -> str:
        """The end in a few words, as in errors: `failed: ValueError('x')`."""
        detail = repr(self.cause) if self.cause is not None else self.reason
        return self.kind.value if detail is None else f"{self.kind.value}: {detail}"
