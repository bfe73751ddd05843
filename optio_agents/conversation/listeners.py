"""The listeners of one conversation: subscriptions, and the handlers of its owner, each in a task of its own."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio
from outcome import Error, Outcome

from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation.actor_state import Core
from optio_agents.conversation.request_dispatch import RequestDispatcher
from optio_agents.conversation.requests import QuestionHandler
from optio_agents.conversation.subscribers import DROPPED, Backlog, Subscription, dropped_event
from optio_agents.conversation.surface import EventHandler, MessageHandler, PermissionHandler, Unsubscribe
from optio_agents.conversation.values import Event, TurnResult, TurnStatus

logger = logging.getLogger(__name__)

T = TypeVar("T")


class HandlerTask(Generic[T]):
    """Calls one handler with one item after another, in order, across the boundary in batches.

    An exception of the handler is logged the first time, always counted, and passed to `failed`. The handler still gets
    the next item.
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
                dropped, items = got
                if dropped:
                    logger.warning("%s was stuck: %d items were dropped (%s)", self._label, dropped, DROPPED)
                    if self._gap is not None:
                        items = [self._gap(dropped), *items]
                await self._boundary.call_each(
                    self._call, [(item,) for item in items], label=self._label, on_result=self._note
                )

    def stop(self) -> None:
        """Stop calling it, and cancel a running call."""
        self._scope.cancel(reason="unsubscribed")

    async def _call(self, item: T) -> None:
        result = self._handler(item)
        if inspect.isawaitable(result):
            await result

    def _note(self, index: int, outcome: Outcome[None]) -> None:
        self._backlog.move()
        if not isinstance(outcome, Error):
            return
        self.failures += 1
        if self.failures == 1:
            logger.error("%s failed; it still gets the following items", self._label, exc_info=outcome.error)
            self._failed(self._label, outcome.error)


class Listeners:
    """Connects handlers with events, results and requests. `nursery` gets their tasks.

    Connecting and disconnecting are plain calls, which an asyncio program makes from outside of the Trio run.

    Raises (all methods that take a handler):
        TypeError: the handler cannot be called.
    """

    def __init__(
        self, core: Core, dispatcher: RequestDispatcher, nursery: trio.Nursery, boundary: Boundary
    ) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._nursery = nursery
        self._boundary = boundary
        self._token = trio.lowlevel.current_trio_token()
        self._running = 0
        self._one_is_done = trio.Event()

    def events(self) -> Subscription[Event]:
        """A subscription to all events from now on."""
        return self._core.events.subscribe()

    def results(self) -> Subscription[TurnResult]:
        """A subscription to the results of the turns that end from now on."""
        return self._core.results.subscribe()

    def on_event(self, handler: EventHandler) -> Unsubscribe:
        """Call `handler` with each event's own dict, from now on."""
        label = f"event handler {_name(handler)}"
        backlog = self._core.events.add()
        task = HandlerTask[Event](
            lambda event: handler(event.raw),
            backlog,
            self._boundary,
            label=label,
            gap=dropped_event,
            failed=self._failed,
        )
        return self._serve(task, lambda: self._core.events.remove(backlog))

    def on_message(self, handler: MessageHandler) -> Unsubscribe:
        """Call `handler` with the final text of each turn that ends from now on."""
        label = f"message handler {_name(handler)}"
        backlog = self._core.results.add()

        def call(result: TurnResult) -> Any:
            return None if result.status is TurnStatus.LOST else handler(result.text)

        task = HandlerTask[TurnResult](call, backlog, self._boundary, label=label, failed=self._failed)
        return self._serve(task, lambda: self._core.results.remove(backlog))

    def on_permission_request(self, handler: PermissionHandler) -> Unsubscribe:
        """Let `handler` decide permission requests."""
        _name(handler)
        self._within_trio(lambda: self._dispatcher.set_permission_handler(handler))
        return lambda: self._within_trio(lambda: self._dispatcher.remove_handler(handler))

    def on_question(self, handler: QuestionHandler) -> Unsubscribe:
        """Let `handler` answer questions."""
        _name(handler)
        self._within_trio(lambda: self._dispatcher.set_question_handler(handler))
        return lambda: self._within_trio(lambda: self._dispatcher.remove_handler(handler))

    async def done(self) -> None:
        """Wait until the handlers have been called with all items (after the end)."""
        while self._running:
            self._one_is_done = trio.Event()
            await self._one_is_done.wait()

    def _serve(self, task: HandlerTask[Any], remove: Callable[[], None]) -> Unsubscribe:
        async def serve() -> None:
            self._running += 1
            try:
                await task.run()
            finally:
                self._running -= 1
                self._one_is_done.set()

        def unsubscribe() -> None:
            remove()
            self._within_trio(task.stop)

        self._within_trio(lambda: self._nursery.start_soon(serve, name="conversation handler"))
        return unsubscribe

    def _failed(self, label: str, error: BaseException) -> None:
        self._core.publish_own("handler-failed", handler=label, error=f"{type(error).__name__}: {error}")

    def _within_trio(self, function: Callable[[], object]) -> None:
        """Call `function` now, or, when called from outside of the Trio run, in that run's next turn."""
        if trio.lowlevel.in_trio_run():
            function()
        else:
            self._token.run_sync_soon(function)


def _name(handler: object) -> str:
    if not callable(handler):
        raise TypeError(f"a handler is a function or a coroutine function, not {type(handler).__name__}")
    return getattr(handler, "__qualname__", None) or repr(handler)
