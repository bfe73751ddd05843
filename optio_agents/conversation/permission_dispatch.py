"""Open permission requests and whoever decides them.

A request waits for a handler as long as it takes; a handler that never answers blocks nothing but its own
turn. When the request is settled otherwise (interrupt, withdrawal, the end), or a newer handler takes over, its
handler is cancelled.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation.surface import (
    PermissionAnswer,
    PermissionDecision,
    PermissionHandler,
    PermissionRequest,
)

logger = logging.getLogger(__name__)

HANDLER_FAILED = "The permission handler failed, so the request is denied."


class PermissionDispatcher:
    """Brings requests and the newest handler together. `decided` is told each decision that a handler made."""

    def __init__(
        self,
        nursery: trio.Nursery,
        boundary: Boundary,
        decided: Callable[[int, PermissionDecision], Awaitable[object]],
    ) -> None:
        self._nursery = nursery
        self._boundary = boundary
        self._decided = decided
        self._handler: PermissionHandler | None = None
        self._open: dict[int, PermissionRequest] = {}
        self._asking: dict[int, trio.CancelScope] = {}

    @property
    def open(self) -> tuple[PermissionRequest, ...]:
        """The requests that wait for a decision, the oldest first."""
        return tuple(self._open.values())

    def number(self, request: PermissionRequest) -> int | None:
        """The number of an open request; it is found by identity, for two requests may be equal."""
        for number, known in self._open.items():
            if known is request:
                return number
        return None

    def set_handler(self, handler: PermissionHandler) -> None:
        """Let `handler` decide from now on, also what waits already or is with an older handler."""
        self._handler = handler
        for scope in self._asking.values():
            scope.cancel(reason="a newer permission handler decides")
        self._asking.clear()
        for number in self._open:
            self._ask(number)

    def remove_handler(self, handler: PermissionHandler) -> None:
        """Nobody is asked any more, unless a newer handler is already. What `handler` has been asked it may decide."""
        if self._handler is handler:
            self._handler = None

    def offer(self, number: int, request: PermissionRequest) -> None:
        """A request is open."""
        self._open[number] = request
        self._ask(number)

    def settle(self, number: int) -> None:
        """A request is open no more."""
        self._open.pop(number, None)
        scope = self._asking.pop(number, None)
        if scope is not None:
            scope.cancel(reason="the permission request was settled")

    def _ask(self, number: int) -> None:
        if self._handler is not None and number not in self._asking:
            scope = self._asking[number] = trio.CancelScope()
            name = f"permission request {number}"
            self._nursery.start_soon(self._run, number, self._handler, scope, name=name)

    async def _run(self, number: int, handler: PermissionHandler, scope: trio.CancelScope) -> None:
        with scope:
            request = self._open.get(number)
            if request is None:
                # The agent took it back in the same breath, before this task began.
                return
            decision = await self._answer(handler, request)
        if scope.cancel_called:
            # Settled otherwise, or with a newer handler.
            return
        if decision is not None:
            # Outside of the scope: what was decided counts, whatever becomes of the handler.
            await self._decided(number, decision)
        else:
            # The request stays open for the next handler, or for `decide`.
            del self._asking[number]

    async def _answer(self, handler: PermissionHandler, request: PermissionRequest) -> PermissionAnswer:
        async def ask() -> object:
            answer: object = handler(request)
            return await answer if inspect.isawaitable(answer) else answer

        try:
            answer = await self._boundary.call(ask, label="permission handler")
        except Exception:
            logger.exception("the permission handler failed on %s", request.tool_name)
            return PermissionDecision("deny", message=HANDLER_FAILED)
        if answer is None or isinstance(answer, PermissionDecision):
            return answer
        logger.error("the permission handler returned %r, not a PermissionDecision", answer)
        return PermissionDecision("deny", message=HANDLER_FAILED)
