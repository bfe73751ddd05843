"""The boundary between a session's actors (always Trio) and the user's world (Trio or asyncio): the protocol.

All user code is called through a `Boundary`: body, hooks, callbacks, the sender, and the coroutines of the ctx and the
host. The actors do not depend on which event loop is on the other side.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ParamSpec, Protocol, TypeVar

from outcome import Outcome

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("optio_agents.bridge")

DEFAULT_GRACE = 5.0
"""Seconds that user code gets to end after its cancellation."""


class Boundary(Protocol):
    """How Trio code calls coroutine functions of the user's world. All methods are Trio coroutines.

    `on_abandoned` and `on_late_failure` may be assigned; they are called synchronously, in the Trio world's
    thread, and must not raise. The defaults write a warning to the logger `optio_agents.bridge`.
    """

    on_abandoned: Callable[[Abandoned], object]
    """User code was left behind (see `call`)."""

    on_late_failure: Callable[[str, BaseException], object]
    """Abandoned user code ended with this exception later. The string is its label."""

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, label: str, grace: float = DEFAULT_GRACE
    ) -> T:
        """Run `await function(*args)` in the user's world and return or raise what it does.

        The user's task is not a child of the caller's nursery: cancelling the caller cancels it, waits up to
        `grace` seconds (shielded) for it to end, and then abandons it, reported by `label` and the place where it
        is suspended (see `on_abandoned`). A cancellation that escapes from user code without
        having been asked for is raised as `StrayCancellation`, an ordinary exception. An exception group is
        raised as it is, the same object.

        The result of user code during its cancellation is not lost. A value is returned, and an exception is raised
        in place of the cancellation (which the next checkpoint delivers). An exception after the user code was
        abandoned goes to `on_late_failure`. The function is not called if the caller is already cancelled.
        """

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
        """Like `call` for each tuple of arguments, one after another, but call the boundary only once.

        `on_result(index, outcome)` is called (synchronously, in this thread) as soon as each call has
        ended; a failing call does not stop the later ones. Only an exception that is no `Exception` ends
        the batch (it is raised, and reported for no index). The next arguments are taken from `calls` only after
        the previous call has ended and been reported.

        `on_answer(index, value)`, if given, is called instead of `on_result` for a call that has returned a value.
        For one that has returned `None`, neither is called: most calls of a large batch return nothing, and an
        `Outcome` costs as much as such a call.
        """

    def plain(self, function: Callable[P, T]) -> Callable[P, T]:
        """Wrap an ordinary function of the user for Trio code to call.

        Inside it, sniffio reports the user's world, and a task that it starts, even eagerly, belongs to that world.
        """

    async def wait_flag(self, flag: Any) -> None:
        """Return once `flag` (an `asyncio.Event` or `trio.Event`, whichever the user's world has) is set."""


class StrayCancellation(Exception):  # noqa: N818
    """User code let a cancellation escape that was not requested (its own inner work was cancelled).

    Args:
        label: names the user code.
        cause: the cancellation that escaped, which becomes `__cause__`.
    """

    def __init__(self, label: str, cause: BaseException) -> None:
        super().__init__(f"{label} let a cancellation escape that was not requested")
        self.label = label
        self.__cause__ = cause


class Abandoned(Exception):  # noqa: N818
    """User code was abandoned. `label` and `where` name it, `why` says what it did."""

    def __init__(self, label: str, where: str, why: str = "ignored its cancellation") -> None:
        super().__init__(f"{label} {why} and was abandoned at {where}")
        self.label = label
        self.where = where


def warn_abandoned(abandoned: Abandoned) -> None:
    """Log that user code was abandoned."""
    _logger.warning("%s", abandoned)


def warn_late_failure(label: str, failure: BaseException) -> None:
    """Log the late failure of abandoned user code."""
    _logger.warning("%s failed after it had been abandoned", label, exc_info=failure)
