"""A conversation: the interface for its owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, overload

import trio

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation import commands
from optio_agents.conversation.actor_state import Core
from optio_agents.conversation.attachments import NO_EXTRAS, Attachment, Extras, checked_attachments
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.controls import ControlEnd
from optio_agents.conversation.intake import Intake
from optio_agents.conversation.listeners import Listeners
from optio_agents.conversation.promises import Promise, Sent
from optio_agents.conversation.request_dispatch import Reply, RequestDispatcher
from optio_agents.conversation.requests import (
    QuestionAnswer,
    QuestionHandler,
    QuestionRequest,
    ToolRequest,
)
from optio_agents.conversation.structured import AnswerSchema
from optio_agents.conversation.subscribers import Subscription
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
    BackgroundTask,
    Capabilities,
    ClosingReport,
    ControlRejected,
    ConversationError,
    ConversationState,
    Event,
    Fate,
    InterruptReceipt,
    NoValidAnswer,
    SendRejected,
    TurnResult,
    TurnStatus,
    Unsupported,
)
from optio_agents.session_controls import SessionControl

T = TypeVar("T")


class AgentConversation:
    """A dialogue with one running agent; `open_conversation` makes one and owns its tasks and processes.

    Three methods send: `send` queues, `steer` adds to the running turn, `stop_and_send` stops that turn first. All of
    them return at once with a `Sent`, whose `wait` returns how it ended. `ask` sends and returns the turn's result.
    """

    def __init__(
        self,
        name: str,
        core: Core,
        ref: actors.Ref[commands.Command],
        nursery: trio.Nursery,
        boundary: Boundary,
    ) -> None:
        self.name = name
        self.core = core
        """For the block that owns the conversation; not part of the interface."""
        self._intake = Intake(name, core, ref)
        self._dispatcher = core.dispatcher = RequestDispatcher(nursery, boundary, self._replied)
        self._listeners = Listeners(core, self._dispatcher, nursery, boundary)

    def __repr__(self) -> str:
        return f"<AgentConversation {self.name} {self.state.value}, {len(self.queued)} queued>"

    # Sending.

    async def send(
        self, text: str, *, uuid: str | None = None, attachments: Sequence[Attachment] = ()
    ) -> Sent:
        """Queue `text`: it is sent when everything before it was answered. Returns as soon as it is accepted.

        Args:
            text: the message.
            uuid: the caller's id for it. Claude and codex adopt it as theirs, so that their events name it; claude
                does not answer a message again whose id is in its session from an earlier process (REJECTED).
            attachments: images and files.

        Raises:
            TypeError, ValueError: it is no text, or has a lone surrogate, which no agent can read; or an attachment is
                none, or they are too large.
            ConversationClosed: it has ended.
            SendQueueFull: too many sends wait already.
            Unsupported: this backend takes no such attachments.
        """
        return await self._send(text, _extras(attachments, name=uuid))

    async def _send(self, text: str, extras: Extras) -> Sent:
        sent = self._intake.new_sent(text, extras)
        return await self._intake.accept(sent, commands.Send(sent))

    async def steer(self, text: str, *, attachments: Sequence[Attachment] = ()) -> Sent:
        """Add `text` to the running turn if the agent can take it there. Otherwise it is sent next.

        Raises:
            Unsupported: this backend cannot be steered.
            ConversationClosed, SendQueueFull: as for `send`.
        """
        if not self.capabilities.steer:
            raise Unsupported(f"{self.name} cannot be steered: a message waits for the end of the turn")
        sent = self._intake.new_sent(text, _extras(attachments))
        return await self._intake.accept(sent, commands.Steer(sent))

    async def stop_and_send(self, text: str, *, attachments: Sequence[Attachment] = ()) -> Sent:
        """Interrupt the running turn, and send `text` before everything that waits.

        Raises:
            Unsupported: this backend cannot be interrupted.
            ConversationClosed, SendQueueFull: as for `send`.
        """
        if not self.capabilities.interrupt:
            raise Unsupported(f"{self.name} cannot be interrupted")
        sent = self._intake.new_sent(text, _extras(attachments))
        return await self._intake.accept(sent, commands.StopAndSend(sent, self._intake.new_interrupt()))

    @overload
    async def ask(self, text: str, *, attachments: Sequence[Attachment] = ()) -> TurnResult: ...

    @overload
    async def ask(self, text: str, *, attachments: Sequence[Attachment] = (), schema: type[T]) -> T: ...

    @overload
    async def ask(
        self, text: str, *, attachments: Sequence[Attachment] = (), schema: Mapping[str, Any]
    ) -> Any: ...

    async def ask(
        self,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        schema: type[Any] | Mapping[str, Any] | None = None,
    ) -> Any:
        """Send `text` and wait for the end of its turn. Check the result's `status`: a failed turn raises nothing.

        With a `schema` it returns the answer instead, checked and converted: a dataclass, `msgspec.Struct` or
        `TypedDict`, or, for a JSON schema, what JSON gives.

        Cancelling this withdraws the text if it still waits, and interrupts its turn if that is running.

        Raises:
            ConversationClosed: it ended before the turn did.
            SendRejected: the agent refused it.
            TypeError, ValueError, SendQueueFull: as for `send`.
            ConversationError: called by a handler of a request: its turn would wait for that handler.
            NoValidAnswer: with a schema: the turn failed, or its answer does not fit.
            Unsupported: this backend takes no such attachments, or no schema.
        """
        wanted: AnswerSchema[Any] | None = None if schema is None else AnswerSchema(schema)
        turn = await self._ask(text, _extras(attachments, wanted))
        return turn if wanted is None else _answer(self.core.turn_state.codec, turn, wanted)

    async def _ask(self, text: str, extras: Extras) -> TurnResult:
        if self._dispatcher.is_handling_here:
            raise ConversationError(
                "ask() in a handler of a request waits for a turn that comes after the one that waits for the handler; "
                "use send()"
            )
        sent = await self._send(text, extras)
        try:
            end = await sent.wait()
        except trio.Cancelled:
            await self._intake.let_go(commands.GiveUp(sent, self._intake.new_interrupt()))
            raise
        if end.fate is Fate.REJECTED:
            raise SendRejected(end.reason or "the agent refused it")
        if end.turn is None or end.turn.status is TurnStatus.LOST:
            raise self._intake.closed_error()
        return end.turn

    async def withdraw(self, sent: Sent) -> bool:
        """Withdraw a message that still waits. Returns whether it did; the agent never gets it then."""
        done: Promise[bool] = Promise()
        await self._intake.tell(commands.Withdraw(sent, done))
        return await done.wait()

    # Stopping.

    async def interrupt(self, seconds: float | None = None) -> InterruptReceipt:
        """Stop the running turn. Queued messages stay queued and run next.

        Returns when the turn has ended. If it has not ended within `seconds` (the option's by default), the receipt is
        UNANSWERED, and the agent's processes are ended.

        Raises:
            ConversationClosed: it has ended, or ends before the receipt.
        """
        interrupt = self._intake.new_interrupt(seconds)
        await self._intake.tell(commands.Interrupt(interrupt))
        receipt = await interrupt.receipt.wait()
        if receipt is None:
            raise self._intake.closed_error()
        return receipt

    async def close(self) -> ClosingReport:
        """End the conversation and the agent, and return what was never sent. Idempotent and bounded in time.

        A running turn is interrupted. Then the agent's input is closed, then its processes get TERM, then KILL.
        """
        try:
            await self._intake.tell(commands.Close())
        except ConversationClosed:
            await trio.lowlevel.checkpoint()
        how = await self.core.over.wait()
        return ClosingReport(self.closed_reason or how, how, tuple(self.core.unsent))

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is ending."""
        return self.core.turn_state.closed is not None

    @property
    def closed_reason(self) -> str | None:
        """Why it has ended; `None` while it has not."""
        return self.core.turn_state.closed

    async def wait_closed(self) -> str:
        """Wait until it has ended and its processes are gone; why."""
        how = await self.core.over.wait()
        return self.closed_reason or how

    # What can be changed while it runs.

    async def list_controls(self) -> tuple[SessionControl, ...]:
        """What the agent lets its user change: model, reasoning effort, permission mode, with values and present value.

        Each change of them is an `x-optio-control-update` event from now on.

        Raises:
            ConversationClosed: it has ended.
            ControlRejected: the agent does not answer within the `control_seconds` of the options.
        """
        done: Promise[tuple[SessionControl, ...] | None] = Promise()
        await self._intake.tell(commands.ListControls(done))
        return await self._answered(done, "which controls it has")

    async def set_control(self, control_id: str, value: str | bool) -> bool:
        """Set a control by its id. It holds for all turns from the next one on; some agents apply it at once.

        Returns whether the agent has a control of that id; if it has none, nothing is done.

        Raises:
            ControlRejected: it cannot take the value, the agent refuses it, or does not answer within the
                `control_seconds` of the options (then it may still take it later).
            ConversationClosed: it has ended.
        """
        await self.list_controls()
        done: Promise[ControlEnd | None] = Promise()
        change = self._intake.new_change()
        await self._intake.tell(commands.SetControl(change, control_id, value, done))
        end = await self._answered(done, f"to {control_id} = {value!r:.100}")
        if end.reason is not None:
            raise ControlRejected(f"{self.name}: {end.reason}")
        return end.is_known

    @property
    def controls(self) -> tuple[SessionControl, ...]:
        """The controls as they were told last; none before `list_controls` or `set_control` was called."""
        return self.core.turn_state.controls.known

    async def _answered(self, done: Promise[T | None], what: str) -> T:
        seconds = self.core.options.control_seconds
        with trio.move_on_after(seconds):
            answer = await done.wait()
            if answer is None:
                raise self._intake.closed_error()
            return answer
        raise ControlRejected(f"{self.name} did not answer {what} within {seconds:g} s")

    # State.

    @property
    def state(self) -> ConversationState:
        """What it is doing now."""
        return self.core.state.now

    async def wait_state(self, *states: ConversationState) -> ConversationState:
        """Wait until it is in one of `states`; returns which.

        Raises:
            ConversationClosed: it has ended, and CLOSED is not one of them.
        """
        state = await self.core.state.wait(*states, ConversationState.CLOSED)
        if state not in states:
            raise self._intake.closed_error()
        return state

    def states(self) -> AsyncIterator[ConversationState]:
        """The state now, and then after each change, up to CLOSED. A state that was very short may be skipped."""
        return self.core.state.follow()

    @property
    def capabilities(self) -> Capabilities:
        """What its backend can do."""
        return self.core.turn_state.codec.capabilities

    @property
    def session(self) -> str | None:
        """The id with which a later conversation can resume this one; `None` until the backend has sent it."""
        return self.core.turn_state.session

    @property
    def queued(self) -> tuple[str, ...]:
        """The texts that wait, the next one first."""
        return self.core.turn_state.queued

    async def settled(self) -> None:
        """Wait until the conversation has handled all earlier commands (they then show in `queued`)."""
        done: Promise[bool] = Promise()
        await self._intake.tell(commands.StateProbe(done))
        await done.wait()

    @property
    def background(self) -> tuple[BackgroundTask, ...]:
        """The work that the agent has left running; its end may begin a turn."""
        tasks: tuple[BackgroundTask, ...] = self.core.background.value
        return tasks

    async def wait_background_done(self) -> None:
        """Wait until no work is open in the background, or the conversation has ended."""
        await self.core.background.wait_value(())

    def is_pending(self) -> bool:
        """Whether something that was sent has not ended yet."""
        return self.core.waiting > 0

    # Listening.

    def events(self) -> Subscription[Event]:
        """A subscription to all events from now on; iterate over it."""
        return self._listeners.events()

    def results(self) -> Subscription[TurnResult]:
        """A subscription to the results of turns that end from now on, also of turns that the agent itself began."""
        return self._listeners.results()

    def on_event(self, handler: EventHandler) -> Unsubscribe:
        """Call `handler` with each event's own dict, from now on, in order."""
        return self._listeners.on_event(handler)

    def on_message(self, handler: MessageHandler) -> Unsubscribe:
        """Call `handler` with the final text of each turn that ends from now on, in order."""
        return self._listeners.on_message(handler)

    async def handlers_done(self) -> None:
        """Wait until the handlers have been called with all items (after the end)."""
        await self._listeners.done()

    # Requests of the agent.

    def on_permission_request(self, handler: PermissionHandler) -> Unsubscribe:
        """Let `handler` decide permission requests (of `ToolRequest`), also waiting ones. The newest handler wins.

        It returns a `PermissionDecision`, or `None` to leave the request open for `decide`. An exception denies. It is
        cancelled when the request is settled in another way, or when a newer handler is set, which gets the request
        then. After it is unsubscribed, it still decides the requests that it already has.
        """
        return self._listeners.on_permission_request(handler)

    def on_question(self, handler: QuestionHandler) -> Unsubscribe:
        """Let `handler` answer the questions of the agent to its user (`QuestionRequest`). The newest handler wins.

        It returns a `QuestionAnswer`, or `None` to leave the question open for `answer`. An exception declines. Without
        a handler, questions are declined at once. It is cancelled and unsubscribed as in `on_permission_request`.
        """
        return self._listeners.on_question(handler)

    @property
    def permission_requests(self) -> tuple[ToolRequest, ...]:
        """The requests that wait for a decision, the oldest first."""
        return self._dispatcher.permissions

    @property
    def questions(self) -> tuple[QuestionRequest, ...]:
        """The questions that wait for an answer, the oldest first."""
        return self._dispatcher.questions

    async def decide(self, request: PermissionRequest, decision: PermissionDecision) -> bool:
        """Decide an open request without a handler. Returns `False` if it was settled already.

        Raises:
            TypeError: it is no decision.
            ConversationClosed: the conversation has ended.
        """
        if not isinstance(decision, PermissionDecision):
            raise TypeError(f"decide takes a PermissionDecision, not {type(decision).__name__}")
        return await self._settle(request, decision)

    async def answer(self, question: QuestionRequest, answer: QuestionAnswer) -> bool:
        """Answer an open question without a handler. Returns `False` if it was settled already.

        Raises:
            TypeError, ValueError: it is no answer to the question; the text says why.
            ConversationClosed: the conversation has ended.
        """
        if not isinstance(answer, QuestionAnswer):
            raise TypeError(f"answer takes a QuestionAnswer, not {type(answer).__name__}")
        if answer.answers is not None:
            question.values(answer.answers)
        return await self._settle(question, answer)

    async def _settle(self, request: PermissionRequest | QuestionRequest, reply: Reply) -> bool:
        number = self._dispatcher.number(request)
        if number is None:
            await trio.lowlevel.checkpoint()
            return False
        done: Promise[bool] = Promise()
        await self._intake.tell(_command(number, reply, done))
        return await done.wait()

    async def _replied(self, number: int, reply: Reply) -> None:
        with suppress(ConversationClosed):
            await self._intake.tell(_command(number, reply, Promise()))


def _extras(
    attachments: Sequence[Attachment],
    wanted: AnswerSchema[Any] | None = None,
    name: str | None = None,
) -> Extras:
    if not attachments and wanted is None and name is None:
        return NO_EXTRAS
    return Extras(checked_attachments(attachments), None if wanted is None else wanted.schema, name)


def _answer(codec: Codec, turn: TurnResult, wanted: AnswerSchema[T]) -> T:
    if turn.status is not TurnStatus.COMPLETED:
        raise NoValidAnswer(f"the turn has {turn.status.value}: {turn.error or turn.text}", turn)
    try:
        return wanted.read(codec.answer_data(turn))
    except ValueError as error:
        raise NoValidAnswer(f"the answer does not fit its schema: {error}", turn) from None


def _command(number: int, reply: Reply, done: Promise[bool]) -> commands.Command:
    if isinstance(reply, QuestionAnswer):
        return commands.AnswerRequest(number, reply, done)
    return commands.Decide(number, reply, done)
