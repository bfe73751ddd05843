"""`Boundary.call_each`, once for both worlds: user code called in turn within one crossing of the boundary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from outcome import Error, Outcome, Value

from optio_agents.bridge.boundary import DEFAULT_GRACE, StrayCancellation

T = TypeVar("T")


class Crossing(Protocol):
    """The call of the boundary within which the user's functions are called."""

    @property
    def is_cancelled(self) -> bool:
        """Whether its caller has cancelled it."""

    @property
    def is_left_behind(self) -> bool:
        """Whether its caller has stopped waiting for it."""


class CallsInTurn(ABC):
    """The part of a boundary that calls a function for each of many arguments."""

    cancellation: type[BaseException]
    """What a cancelled task raises in the user's world."""

    async def call_each(
        self,
        function: Callable[..., Awaitable[T]],
        calls: Iterable[tuple[Any, ...]],
        *,
        label: str,
        on_result: Callable[[int, Outcome[T]], None],
        on_answer: Callable[[int, T], None] | None = None,
        grace: float = DEFAULT_GRACE,
    ) -> None:
        """See `Boundary.call_each`."""

        async def in_turn(call: Crossing) -> None:
            for index, args in enumerate(calls):
                if call.is_cancelled:
                    # After a call that suppressed its cancellation, make no further one.
                    await self._refuse(index)
                result: Outcome[T]
                try:
                    value = await function(*args)
                except self.cancellation as stray:
                    if self._was_asked_for(call):
                        raise
                    result = Error(StrayCancellation(label, stray))
                except Exception as failure:  # noqa: BLE001 - any exception of user code is that call's result
                    result = Error(failure)
                else:
                    if on_answer is not None and not call.is_left_behind:
                        if value is not None:
                            self._enter()
                            on_answer(index, value)
                        continue
                    result = Value(value)
                if call.is_left_behind:
                    result.unwrap()  # The caller has left; what it raises is reported as late.
                    return
                self._enter()
                on_result(index, result)
                del result  # The traceback of a failure refers to this frame.

        await self._cross(in_turn, label, grace)

    @abstractmethod
    async def _cross(self, start: Callable[[Any], Awaitable[None]], label: str, grace: float) -> None:
        """Run `start(call)` in the user's world, as `Boundary.call` does."""

    @abstractmethod
    async def _refuse(self, index: int) -> None:
        """The caller has cancelled before the call number `index`: raise the cancellation where that is due."""

    @abstractmethod
    def _was_asked_for(self, call: Any) -> bool:
        """Whether a cancellation raised by user code is the caller's. If not, it is cleared."""

    @abstractmethod
    def _enter(self) -> None:
        """Called before a result is handed to the Trio side."""
