"""What to start for an actor without a task: a function that sets it up and returns its handler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from trio.lowlevel import disable_ki_protection

if TYPE_CHECKING:
    from actors.inline_handles import InlineMe

M = TypeVar("M")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, eq=False)
class InlineSpec(Generic[M]):
    """What to run as an actor without a task that receives `M`. It can be started any number of times."""

    name: str
    _set_up: Callable[..., Callable[[M], object]]
    _args: tuple[Any, ...]
    _kwargs: dict[str, Any]

    @disable_ki_protection  # it is called in protected code, and runs the user's
    def run(self, me: InlineMe[M]) -> Callable[[M], object]:
        """Set up one run.

        Raises:
            TypeError: the set-up function did not return a function.
        """
        handle: Any = self._set_up(me, *self._args, **self._kwargs)
        if not callable(handle):
            if hasattr(handle, "close"):
                handle.close()
            raise TypeError(
                f"the set-up of an actor without a task returns its handler, a plain function of one message; "
                f"{self.name} returned {handle!r}"
            )
        made: Callable[[M], object] = handle
        return made

    def __repr__(self) -> str:
        return f"<InlineSpec {self.name}>"


def inline(
    set_up: Callable[Concatenate[InlineMe[M], P], Callable[[M], object]], /, *args: P.args, **kwargs: P.kwargs
) -> InlineSpec[M]:
    """Make an actor without a task, whose handler never waits: sending it a message costs about as much as a call.

    `set_up(me, ...)` is a plain function. It is called once for each run, holds the actor's state, and returns the
    handler, a plain function (or method) of one message. A message is handled before `tell` returns, one at a time and
    in order. A message that the handler itself causes is handled after the present one. Otherwise it is an actor like
    any other.

    Raises:
        TypeError: `set_up` is not callable.
    """
    if not callable(set_up):
        raise TypeError(f"the set-up of an actor without a task is a plain function, not {set_up!r}")
    name: Any = getattr(set_up, "__name__", None) or type(set_up).__name__
    return InlineSpec(name, set_up, args, kwargs)
