"""What to start: an actor's function with its arguments, checked by the type checker."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from trio.lowlevel import enable_ki_protection

if TYPE_CHECKING:
    from actors.me import Me

GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
"""The flags of a function that yields."""

NO_KWARGS: dict[str, Any] = {}
"""Shared: an empty dict for each actor would weigh more than the rest of its arguments."""

M = TypeVar("M")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, eq=False)
class Spec(Generic[M]):
    """What to run as an actor that receives `M`. It can be started any number of times."""

    name: str
    _function: Callable[..., Awaitable[object]]
    _args: tuple[Any, ...]
    _kwargs: dict[str, Any]

    @enable_ki_protection
    def run(self, me: Me[M]) -> Awaitable[object]:
        """Call the function, for one run.

        Raises:
            TypeError: it is no coroutine function.
        """
        run = self._function(me, *self._args, **self._kwargs)
        if not hasattr(run, "__await__"):
            raise TypeError(
                f"an actor is a coroutine function (async def), and {self.name} is a plain function: it returned "
                f"{run!r}. For a handler that never waits, see actors.inline"
            )
        return run

    def __repr__(self) -> str:
        return f"<Spec {self.name}>"


def actor(
    function: Callable[Concatenate[Me[M], P], Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
) -> Spec[M]:
    """Pair an actor's coroutine function with the arguments that it gets after its `Me`.

    The message type comes from the function's first parameter, and the arguments are checked against the others, so
    that a wrong message and a wrong argument are both type errors. They are evaluated once: a restarted actor gets the
    same objects.

    Raises:
        TypeError: `function` is not callable, or is a generator function. (A plain function is refused when it is
            started, because it returns nothing to await.)
    """
    if not callable(function):
        raise TypeError(f"an actor is a coroutine function, not {function!r}")
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & GENERATOR:
        raise TypeError(
            f"an actor is a coroutine function, and {function!r} is a generator: it must not `yield`"
        )

    name: Any = getattr(function, "__name__", None) or type(function).__name__
    return Spec(name, function, args, kwargs or NO_KWARGS)
