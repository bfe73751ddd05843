"""Handlers of events and messages: each in a task of its own, fed from a backlog of its own."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import trio
from outcome import Error, Outcome

from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation.subscribers import DROPPED, Backlog

logger = logging.getLogger(__name__)

T = TypeVar("T")


class HandlerTask(Generic[T]):
    """Calls one handler with one item after another, in order, across the boundary in batches.

    What it raises is logged the first time (and counted always), told to `failed`, and keeps nothing from
    it: the next item comes all the same.
    """

    def __init__(
        self,
        handler: Callable[[T], Any],
        backlog: Backlog[T],
        boundary: Boundary,
        *,
        label: str,
        gap: Callable[[int], T] | None = None,
        failed: Callable[[str, BaseException], object],
    ) -> None:
        self._handler = handler
        self._backlog = backlog
        self._boundary = boundary
        self._label = label
        self._gap = gap
        self._failed = failed
        self._scope = trio.CancelScope()
        self.failures = 0

    async def run(self) -> None:
        """Serve until the backlog ends or `stop`."""
        with self._scope:
            while (got := await self._backlog.get()) is not None:
                dropped, batch = got
                items: Sequence[T] = batch
                if dropped:
                    logger.warning(
                        "%s was too slow: %d items were dropped (%s)", self._label, dropped, DROPPED
                    )
                    if self._gap is not None:
                        items = [self._gap(dropped), *batch]
                await self._boundary.call_each(
                    self._call, [(item,) for item in items], label=self._label, on_result=self._note
                )

    def stop(self) -> None:
        """Call it no more; what runs is cancelled."""
        self._scope.cancel(reason="unsubscribed")

    async def _call(self, item: T) -> None:
        result = self._handler(item)
        if inspect.isawaitable(result):
            await result

    def _note(self, index: int, outcome: Outcome[None]) -> None:
        if not isinstance(outcome, Error):
            return
        self.failures += 1
        if self.failures == 1:
            logger.error("%s failed; it goes on with what follows", self._label, exc_info=outcome.error)
            self._failed(self._label, outcome.error)
