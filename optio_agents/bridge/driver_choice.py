"""Chooses the driver: the fast one if Trio's private parts are as it expects, else the one on the public guest mode."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from outcome import Outcome

from optio_agents.bridge.public_driver import PublicDriver

VARIABLE = "OPTIO_AGENTS_TRIO_DRIVER"
"""Environment variable that selects the driver: `public`, or `stepping`, which fails if it cannot work."""

_logger = logging.getLogger("optio_agents.bridge")


class Driver(Protocol):
    """Makes the steps of one Trio run that is the guest of an asyncio loop, in the thread that runs the loop."""

    is_over: bool
    """Whether Trio has ended."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_over: Callable[[Outcome[Any]], None],
        on_loop_closed: Callable[[], None],
    ) -> None:
        """`on_loop_closed` is called if the loop is closed before Trio has ended: see `finish_alone`."""

    def start(self, main: Callable[[], Awaitable[None]]) -> None:
        """Begin a Trio run with `main` as its main task. Leaves no Trio run when it raises."""

    def enter(self) -> None:
        """Call this before Trio is used from the loop's side: another thread may run the loop by now.

        Raises:
            RuntimeError: Trio cannot continue in this thread. The run has ended then, with this error.
        """

    def is_of_this_thread(self) -> bool:
        """Whether this thread is the one that runs Trio."""

    def finish_alone(self, seconds: float) -> None:
        """Drive Trio to its end, blocking, without a loop; give it up if it takes longer than `seconds`."""


def driver_class() -> type[Driver]:
    """The driver of this process.

    Raises:
        ValueError: the environment variable names no driver.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "public":
        return PublicDriver
    if wanted not in ("", "stepping"):
        raise ValueError(f"{VARIABLE}={wanted!r}: it must be `public`, `stepping`, or unset")
    return _stepping_or_public(wanted == "stepping")


@functools.cache
def _stepping_or_public(is_required: bool) -> type[Driver]:
    try:
        from optio_agents.bridge.driver import SteppingDriver, probe

        probe()
    except Exception as unknown:
        if is_required:
            raise
        _logger.info("Trio is driven by its public guest mode, which is slower: %r", unknown)
        return PublicDriver
    return SteppingDriver


def forget_run_of_this_thread() -> object | None:
    """In a forked child, detach the parent's Trio run from this thread.

    Returns:
        The parent's run; `None` if it cannot be detached.
    """
    if os.environ.get(VARIABLE) == "public":
        return None
    try:
        from optio_agents.bridge.driver import take_run_from_thread

        return take_run_from_thread()
    except (ImportError, AttributeError, LookupError) as unknown:
        _logger.info("Trio's run of the parent process cannot be forgotten: %r", unknown)
        return None
