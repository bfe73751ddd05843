"""The open requests of an agent and the handlers that answer them: one for permissions, one for questions.

A permission request waits for a handler without a time limit. A handler that never answers blocks only what depends on
it. A question without a handler is declined. When a request is settled in another way (interrupt, withdrawal, the end),
or a newer handler is set, its handler is cancelled.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation.requests import (
    NO_HANDLER,
    AgentRequest,
    QuestionAnswer,
    QuestionHandler,
    QuestionRequest,
    ToolRequest,
)
from optio_agents.conversation.surface import PermissionDecision, PermissionHandler, PermissionRequest

logger = logging.getLogger(__name__)

HANDLER_FAILED = "The handler of the request failed, so it is denied."

Reply: TypeAlias = PermissionDecision | QuestionAnswer
Handler: TypeAlias = Callable[[Any], object]

_handling: ContextVar[object] = ContextVar("optio_agents_conversation_handling", default=None)
"""The dispatcher whose handler is being called here."""


class RequestDispatcher:
    """Passes each request to the newest handler. `replied` is called with each reply of a handler."""

    def __init__(
        self,
        nursery: trio.Nursery,
        boundary: Boundary,
        replied: Callable[[int, Reply], Awaitable[object]],
    ) -> None:
        self._nursery = nursery
        self._boundary = boundary
        self._replied = replied
        self._handlers: dict[type[AgentRequest], Handler] = {}
        self._open: dict[int, AgentRequest] = {}
        self._asking: dict[int, trio.CancelScope] = {}

    @property
    def permissions(self) -> tuple[ToolRequest, ...]:
        """The permission requests that wait for a decision, the oldest first."""
        return tuple(each for each in self._open.values() if isinstance(each, ToolRequest))

    @property
    def questions(self) -> tuple[QuestionRequest, ...]:
        """The questions that wait for an answer, the oldest first."""
        return tuple(each for each in self._open.values() if isinstance(each, QuestionRequest))

    @property
    def is_handling_here(self) -> bool:
        """Whether the caller is one of the handlers, or was started by one."""
        return _handling.get() is self

    def number(self, request: PermissionRequest | QuestionRequest) -> int | None:
        """The number of an open request; it is found by identity, for two requests may be equal."""
        for number, known in self._open.items():
            if known is request:
                return number
        return None

    def set_permission_handler(self, handler: PermissionHandler) -> None:
        """Let `handler` decide from now on, also waiting requests and those of an older handler."""
        self._set(ToolRequest, handler)

    def set_question_handler(self, handler: QuestionHandler) -> None:
        """Let `handler` answer questions from now on, also those that wait already."""
        self._set(QuestionRequest, handler)

    def remove_handler(self, handler: Handler) -> None:
        """Remove a handler, unless a newer one is set already. It may still answer the requests that it has."""
        for kind, known in list(self._handlers.items()):
            if known is handler:
                del self._handlers[kind]

    def offer(self, number: int, request: AgentRequest) -> None:
        """Add an open request."""
        self._open[number] = request
        self._ask(number)

    def settle(self, number: int) -> None:
        """Remove a request that is no longer open."""
        self._open.pop(number, None)
        scope = self._asking.pop(number, None)
        if scope is not None:
            scope.cancel(reason="the request was settled")

    def _set(self, kind: type[AgentRequest], handler: Handler) -> None:
        self._handlers[kind] = handler
        for number in [number for number, each in self._open.items() if isinstance(each, kind)]:
            scope = self._asking.pop(number, None)
            if scope is not None:
                scope.cancel(reason="a newer handler answers")
            self._ask(number)

    def _ask(self, number: int) -> None:
        handler = self._handlers.get(type(self._open[number]))
        if handler is None and isinstance(self._open[number], QuestionRequest):
            handler = _decline
        if handler is not None and number not in self._asking:
            scope = self._asking[number] = trio.CancelScope()
            self._nursery.start_soon(self._run, number, handler, scope, name=f"request {number}")

    async def _run(self, number: int, handler: Handler, scope: trio.CancelScope) -> None:
        with scope:
            request = self._open.get(number)
            if request is None:
                # The agent took it back in the same read, before this task began.
                return
            _handling.set(self)
            reply = await self._reply(handler, request)
        if scope.cancel_called:
            # Settled otherwise, or with a newer handler.
            return
        if reply is not None:
            # Outside of the scope: the decision counts even if the handler is cancelled meanwhile.
            await self._replied(number, reply)
        else:
            # The request stays open for the next handler, or for `decide` and `answer`.
            del self._asking[number]

    async def _reply(self, handler: Handler, request: AgentRequest) -> Reply | None:
        async def ask() -> object:
            answer: object = handler(request)
            return await answer if inspect.isawaitable(answer) else answer

        try:
            reply = await self._boundary.call(ask, label="request handler")
            if isinstance(request, QuestionRequest) and isinstance(reply, QuestionAnswer):
                if reply.answers is not None:
                    request.values(reply.answers)
                return reply
        except Exception:
            logger.exception("the handler of a request failed on %s", _name(request))
            return _refusal(request)
        if reply is None or (isinstance(reply, PermissionDecision) and isinstance(request, ToolRequest)):
            return reply
        logger.error("the handler of a request (%s) returned %r, which is no answer", _name(request), reply)
        return _refusal(request)


def _name(request: AgentRequest) -> str:
    return request.kind if isinstance(request, QuestionRequest) else request.tool_name


def _refusal(request: AgentRequest) -> Reply:
    if isinstance(request, QuestionRequest):
        return QuestionAnswer.declined(HANDLER_FAILED)
    return PermissionDecision("deny", message=HANDLER_FAILED)


def _decline(_: object) -> QuestionAnswer:
    return QuestionAnswer.declined(NO_HANDLER)
