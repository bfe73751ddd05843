"""Who listens to one conversation: subscriptions, and the handlers of its owner, each in a task of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation.actor_state import Core
from optio_agents.conversation.handlers import HandlerTask
from optio_agents.conversation.permission_dispatch import PermissionDispatcher
from optio_agents.conversation.subscribers import DROPPED, Subscription
from optio_agents.conversation.surface import EventHandler, MessageHandler, PermissionHandler, Unsubscribe
from optio_agents.conversation.values import Event, TurnResult, TurnStatus


class Listeners:
    """Connects handlers with what they listen to. `nursery` gets their tasks.

    Connecting and disconnecting are plain calls, which an asyncio program makes from outside of the Trio run.
    """

    def __init__(
        self, core: Core, dispatcher: PermissionDispatcher, nursery: trio.Nursery, boundary: Boundary
    ) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._nursery = nursery
        self._boundary = boundary
        self._token = trio.lowlevel.current_trio_token()
        self._running = 0
        self._one_is_done = trio.Event()

    def events(self) -> Subscription:
        """A subscription to all events from now on."""
        return Subscription(self._core.events.add(), self._core.events)

    def on_event(self, handler: EventHandler) -> Unsubscribe:
        """Call `handler` with each event's own dict, from now on."""
        backlog = self._core.events.add()

        def gap(count: int) -> Event:
            return Event({"type": DROPPED, "count": count})

        task = HandlerTask[Event](
            lambda event: handler(event.raw),
            backlog,
            self._boundary,
            label=f"event handler {_name(handler)}",
            gap=gap,
            failed=self._failed,
        )
        return self._serve(task, lambda: self._core.events.remove(backlog))

    def on_message(self, handler: MessageHandler) -> Unsubscribe:
        """Call `handler` with the final text of each turn that ends from now on."""
        backlog = self._core.results.add()

        def call(result: TurnResult) -> Any:
            return None if result.status is TurnStatus.LOST else handler(result.text)

        label = f"message handler {_name(handler)}"
        task = HandlerTask[TurnResult](call, backlog, self._boundary, label=label, failed=self._failed)
        return self._serve(task, lambda: self._core.results.remove(backlog))

    def on_permission_request(self, handler: PermissionHandler) -> Unsubscribe:
        """Let `handler` decide permission requests."""
        self._within_trio(lambda: self._dispatcher.set_handler(handler))
        return lambda: self._within_trio(lambda: self._dispatcher.remove_handler(handler))

    async def done(self) -> None:
        """Wait until the handlers have been called with everything there was (after the end)."""
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
    return getattr(handler, "__qualname__", None) or repr(handler)
