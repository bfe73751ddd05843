"""A conversation, as its owner holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trio

import actors
from optio_agents.bridge.border import Border
from optio_agents.conversation import commands
from optio_agents.conversation.core import Core
from optio_agents.conversation.handlers import HandlerTask
from optio_agents.conversation.permissions import PermissionDesk
from optio_agents.conversation.subscribers import DROPPED, Backlog, Subscription
from optio_agents.conversation.surface import (
    ConversationClosed,
    EventHandler,
    MessageHandler,
    PermissionDecision,
    PermissionHandler,
    PermissionRequest,
    Unsubscribe,
)
from optio_agents.conversation.values import (
    Capabilities,
    ConversationError,
    Event,
    Fate,
    InterruptReceipt,
    SendQueueFull,
    State,
    TurnResult,
    TurnStatus,
    Unsupported,
)
from optio_agents.conversation.waiting import PendingInterrupt, Promise, Sent


@dataclass(frozen=True, slots=True)
class ClosingReport:
    """How a conversation ended. `unsent` are the texts that the agent never saw, the oldest first."""

    reason: str
    how: str
    """How the agent's process ended, and its last words."""
    unsent: tuple[str, ...] = ()


class SendRejected(ConversationError):  # noqa: N818
    """The agent refused what `ask` sent. The text says why."""


class AgentConversation:
    """A dialogue with one running agent; `open_conversation` makes one and owns its tasks and processes.

    Three verbs send: `send` queues, `steer` reaches the turn that runs, `stop_and_send` stops it first. All
    of them return at once with a `Sent`, whose `wait` tells what became of it; `ask` is `send` and the
    turn's result.
    """

    def __init__(
        self, name: str, core: Core, ref: actors.Ref[commands.Command], nursery: trio.Nursery, border: Border
    ) -> None:
        self.name = name
        self.core = core
        """For the block that owns the conversation; not part of the interface."""
        self._ref = ref
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()
        self._border = border
        self._desk = PermissionDesk(nursery, border, self._decided)
        core.desk = self._desk
        self._numbers = 0
        self._handlers = 0
        self._handlers_done = trio.Event()

    def __repr__(self) -> str:
        return f"<AgentConversation {self.name} {self.state.value}, {len(self.queued)} queued>"

    # Sending.

    async def send(self, text: str) -> Sent:
        """Queue `text`: it is sent when everything before it was answered. Returns as soon as it is accepted.

        Raises:
            ConversationClosed: it has ended.
            SendQueueFull: too many sends wait already.
        """
        sent = self._new_sent(text)
        return await self._tell_send(sent, commands.Send(sent))

    async def steer(self, text: str) -> Sent:
        """Add `text` to the turn that runs, if the agent can take it there; else it is sent next.

        Raises:
            Unsupported: this backend cannot be steered.
            ConversationClosed, SendQueueFull: as for `send`.
        """
        if not self.capabilities.steer:
            raise Unsupported(f"{self.name} cannot be steered: a message waits for the end of the turn")
        sent = self._new_sent(text)
        return await self._tell_send(sent, commands.Steer(sent))

    async def stop_and_send(self, text: str) -> Sent:
        """Interrupt the turn that runs, and send `text` before everything that waits.

        Raises:
            Unsupported: this backend cannot be interrupted.
            ConversationClosed, SendQueueFull: as for `send`.
        """
        if not self.capabilities.interrupt:
            raise Unsupported(f"{self.name} cannot be interrupted")
        sent = self._new_sent(text)
        return await self._tell_send(sent, commands.StopAndSend(sent, self._new_interrupt(None)))

    async def ask(self, text: str) -> TurnResult:
        """Send `text` and wait for the end of its turn (look at its `status`: a failed turn is no exception).

        Cancelling this takes the text back if it still waits, and interrupts its turn if that runs.

        Raises:
            ConversationClosed: it ended before the turn did.
            SendRejected: the agent refused it.
            SendQueueFull: too many sends wait already.
        """
        sent = await self.send(text)
        try:
            end = await sent.wait()
        except trio.Cancelled:
            await self._let_go(commands.GiveUp(sent, self._new_interrupt(None)))
            raise
        if end.fate is Fate.REJECTED:
            raise SendRejected(end.reason or "the agent refused it")
        if end.turn is None or end.turn.status is TurnStatus.LOST:
            raise self._closed_error()
        return end.turn

    async def withdraw(self, sent: Sent) -> bool:
        """Take back something that still waits. Returns whether it did: then the agent never sees it."""
        done: Promise[bool] = Promise()
        await self._tell(commands.Withdraw(sent, done))
        return await done.wait()

    # Stopping.

    async def interrupt(self, seconds: float | None = None) -> InterruptReceipt:
        """Stop the turn that runs. What is queued stays queued and runs next.

        Returns when the turn has ended, or when it has not within `seconds` (the option's by default): then
        the receipt says UNANSWERED, and the agent's processes are being ended.

        Raises:
            ConversationClosed: it has ended, or ends before the receipt is there.
        """
        interrupt = self._new_interrupt(seconds)
        await self._tell(commands.Interrupt(interrupt))
        receipt = await interrupt.receipt.wait()
        if receipt is None:
            raise self._closed_error()
        return receipt

    async def close(self) -> ClosingReport:
        """End the conversation and the agent, and hand back what was never sent. Idempotent; takes a
        bounded time.

        A turn that runs is interrupted; then the agent's input is closed, then its processes get TERM, then
        KILL.
        """
        try:
            await self._ref.tell(commands.Close())
        except actors.ActorStopped:
            await trio.lowlevel.checkpoint()
        how = await self.core.over.wait()
        return ClosingReport(self.closed_reason or how, how, tuple(self.core.unsent))

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is ending."""
        return self.core.turns.closed is not None

    @property
    def closed_reason(self) -> str | None:
        """Why it has ended; `None` while it has not."""
        return self.core.turns.closed

    async def wait_closed(self) -> str:
        """Wait until it has ended and its processes are gone; why."""
        how = await self.core.over.wait()
        return self.closed_reason or how

    # Looking at it.

    @property
    def state(self) -> State:
        """What it is doing now."""
        state: State = self.core.state.value
        return state

    async def wait_state(self, *states: State) -> State:
        """Wait until it is in one of `states`; returns which."""
        state: State = await self.core.state.wait_value(lambda value: value in states)
        return state

    def states(self) -> AsyncIterator[State]:
        """The state now, and then each time it has changed, up to CLOSED; one that came and went unseen is
        skipped."""
        return _States(self)

    @property
    def capabilities(self) -> Capabilities:
        """What its backend can do."""
        return self.core.turns.codec.capabilities

    @property
    def session(self) -> str | None:
        """The name under which a later conversation can resume this one, once the backend has told it."""
        return self.core.turns.session

    @property
    def queued(self) -> tuple[str, ...]:
        """The texts that wait, the next one first."""
        return self.core.turns.queued

    async def settled(self) -> None:
        """Wait until everything that was told to the conversation so far has reached it (its queue shows
        it).
        """
        done: Promise[bool] = Promise()
        await self._tell(commands.Probe(done))
        await done.wait()

    def is_pending(self) -> bool:
        """Whether something that was sent has not ended yet."""
        return self.core.waiting > 0

    # Listening.

    def events(self) -> Subscription:
        """A subscription to all events from now on; iterate over it."""
        return Subscription(self.core.events.add(), self.core.events)

    def on_event(self, handler: EventHandler) -> Unsubscribe:
        """Call `handler` with each event's own dict, from now on, in order."""
        backlog = self.core.events.add()

        def gap(count: int) -> Event:
            return Event({"type": DROPPED, "count": count})

        task = HandlerTask[Event](
            lambda event: handler(event.raw),
            backlog,
            self._border,
            label=f"event handler {_name(handler)}",
            gap=gap,
            failed=self._handler_failed,
        )
        return self._serve(task, lambda: self.core.events.remove(backlog))

    def on_message(self, handler: MessageHandler) -> Unsubscribe:
        """Call `handler` with the final text of each turn that ends from now on, in order."""
        backlog = self.core.results.add()

        def call(result: TurnResult) -> Any:
            return None if result.status is TurnStatus.LOST else handler(result.text)

        label = f"message handler {_name(handler)}"
        task = HandlerTask[TurnResult](call, backlog, self._border, label=label, failed=self._handler_failed)
        return self._serve(task, lambda: self.core.results.remove(backlog))

    def results(self) -> Backlog[TurnResult]:
        """A backlog of the turns that end from now on."""
        return self.core.results.add()

    def _serve(self, task: HandlerTask[Any], remove: Callable[[], None]) -> Unsubscribe:
        async def serve() -> None:
            self._handlers += 1
            try:
                await task.run()
            finally:
                self._handlers -= 1
                self._handlers_done.set()

        def start() -> None:
            self._nursery.start_soon(serve, name="conversation handler")

        def unsubscribe() -> None:
            remove()
            self._within_trio(task.stop)

        self._within_trio(start)

        return unsubscribe

    def _handler_failed(self, label: str, error: BaseException) -> None:
        self.core.publish_own("handler-failed", handler=label, error=f"{type(error).__name__}: {error}")

    def _within_trio(self, function: Callable[[], object]) -> None:
        """Call `function` now, or, when an asyncio program calls us from outside of the Trio run, in its
        next turn.
        """
        if trio.lowlevel.in_trio_run():
            function()
        else:
            self._token.run_sync_soon(function)

    async def handlers_done(self) -> None:
        """Wait until the handlers have been called with everything there was (after the end)."""
        while self._handlers:
            self._handlers_done = trio.Event()
            await self._handlers_done.wait()

    # Permissions.

    def on_permission_request(self, handler: PermissionHandler) -> Unsubscribe:
        """Let `handler` decide permission requests, also those that wait already. The newest handler wins.

        It returns a `PermissionDecision`, or `None` to leave the request open (`decide` then). Raising
        denies. It is cancelled when the request is settled otherwise.
        """
        self._within_trio(lambda: self._desk.set_handler(handler))
        return lambda: self._within_trio(lambda: self._desk.remove_handler(handler))

    @property
    def permission_requests(self) -> tuple[PermissionRequest, ...]:
        """The requests that wait for a decision, the oldest first."""
        return self._desk.open

    async def decide(self, request: PermissionRequest, decision: PermissionDecision) -> bool:
        """Decide an open request without a handler. Returns `False` if it was settled already."""
        number = self._desk.number(request)
        if number is None:
            await trio.lowlevel.checkpoint()
            return False
        done: Promise[bool] = Promise()
        await self._tell(commands.Decide(number, decision, done))
        return await done.wait()

    async def _decided(self, permission: int, decision: PermissionDecision) -> None:
        with suppress(actors.ActorStopped):
            await self._ref.tell(commands.Decide(permission, decision, Promise()))

    # The mailbox.

    def _new_sent(self, text: str) -> Sent:
        if self.closed:
            raise self._closed_error()
        if self.core.waiting >= self.core.options.queue_limit:
            raise SendQueueFull(f"{self.core.waiting} sends wait already")
        self._numbers += 1
        return Sent(self._numbers, text)

    def _new_interrupt(self, seconds: float | None) -> PendingInterrupt:
        self._numbers += 1
        return PendingInterrupt(
            self._numbers, self.core.options.interrupt_seconds if seconds is None else seconds
        )

    async def _tell_send(self, sent: Sent, command: commands.Command) -> Sent:
        self.core.accept(sent)
        try:
            await self._tell(command)
        except BaseException:
            self.core.forget(sent)
            raise
        return sent

    async def _tell(self, command: commands.Command) -> None:
        try:
            await self._ref.tell(command)
        except actors.ActorStopped:
            raise self._closed_error() from None

    async def _let_go(self, command: commands.Command) -> None:
        """Tell it although we are being cancelled. The mailbox is never full for long: its actor never
        waits.
        """
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5), suppress(actors.ActorStopped):
            await self._ref.tell(command)

    def _closed_error(self) -> ConversationClosed:
        return ConversationClosed(f"the conversation with {self.name} has ended: {self.closed_reason}")


class _States(AsyncIterator[State]):
    """No generator, so that leaving the loop early leaves nothing behind."""

    def __init__(self, conversation: AgentConversation) -> None:
        self._conversation = conversation
        self._last: State | None = None

    def __aiter__(self) -> _States:
        return self

    async def __anext__(self) -> State:
        if self._last is State.CLOSED:
            raise StopAsyncIteration
        self._last = await self._conversation.core.state.wait_value(lambda state: state is not self._last)
        assert self._last is not None
        return self._last


def _name(handler: object) -> str:
    return getattr(handler, "__qualname__", None) or repr(handler)
