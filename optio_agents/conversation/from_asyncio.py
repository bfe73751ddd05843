"""A conversation for asyncio programs: the same one, in the loop's Trio guest, called across the boundary."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.conversation.agents import Agent
from optio_agents.conversation.attachments import Attachment
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.mcp_servers import AnyMcpServer
from optio_agents.conversation.opening import open_conversation
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.promises import Sent
from optio_agents.conversation.requests import (
    QuestionAnswer,
    QuestionHandler,
    QuestionRequest,
    ToolRequest,
)
from optio_agents.conversation.subscribers import Subscription
from optio_agents.conversation.surface import (
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
    ConversationState,
    Event,
    InterruptReceipt,
    SendEnd,
    TurnResult,
)
from optio_agents.session_controls import SessionControl

if TYPE_CHECKING:
    from optio_agents.conversation.tools.functions import Function

T = TypeVar("T")

Opening = Callable[[Boundary], Any]
"""Makes a context manager, a Trio one, over a boundary."""


class WithinTrio:
    """Awaits coroutine functions of the Trio side, from the event loop in which it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def __call__(self, function: Callable[[], Awaitable[T]]) -> T:
        """Return or raise what `await function()` does.

        Raises:
            RuntimeError: awaited in another event loop.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "this conversation belongs to another event loop: from here, call it by "
                "asyncio.run_coroutine_threadsafe(..., loop)"
            )

        async def call(boundary: Boundary) -> T:
            return await function()

        return await run_in_trio(call)


class AsyncioSubscription(AsyncIterator[T], Generic[T]):
    """A `Subscription` for an asyncio program. A cancelled wait loses nothing."""

    def __init__(self, inner: Subscription[T], within_trio: WithinTrio) -> None:
        self._inner = inner
        self._within_trio = within_trio
        self._batch: deque[T] = deque()

    @property
    def dropped(self) -> int:
        """The number of items that were dropped because this subscriber did not take them."""
        return self._inner.dropped

    async def batch(self) -> list[T] | None:
        """All available items, at least one; `None` at the end. Faster than one at a time."""
        if self._batch:
            taken = list(self._batch)
            self._batch.clear()
            return taken
        # Waiting and taking are two steps: a cancellation during the first one has taken nothing.
        while not (items := self._inner.take()):
            if items is None:
                return None
            await self._within_trio(self._inner.wait)
        return items

    def __aiter__(self) -> AsyncioSubscription[T]:
        return self

    async def __anext__(self) -> T:
        while not self._batch:
            batch = await self.batch()
            if batch is None:
                raise StopAsyncIteration
            self._batch.extend(batch)
        return self._batch.popleft()

    def close(self) -> None:
        """Receive nothing more. Idempotent."""
        self._inner.close()

    def __enter__(self) -> AsyncioSubscription[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncioConversation:
    """An `AgentConversation` whose coroutines are awaited under asyncio; handlers may be asyncio coroutines.

    The methods do the same as those of `AgentConversation`. `end_of` is `Sent.wait`. All coroutines raise
    `RuntimeError` in any event loop except the one that has opened the conversation.
    """

    def __init__(self, inner: AgentConversation) -> None:
        self._inner = inner
        self._within_trio = WithinTrio()

    @property
    def in_trio(self) -> AgentConversation:
        """The conversation itself, for code that runs in the loop's Trio guest."""
        return self._inner

    def __repr__(self) -> str:
        return f"<AsyncioConversation over {self._inner!r}>"

    async def send(
        self, text: str, *, uuid: str | None = None, attachments: Sequence[Attachment] = ()
    ) -> Sent:
        """See `AgentConversation.send`."""
        return await self._within_trio(lambda: self._inner.send(text, uuid=uuid, attachments=attachments))

    async def list_controls(self) -> tuple[SessionControl, ...]:
        """See `AgentConversation.list_controls`."""
        return await self._within_trio(self._inner.list_controls)

    async def set_control(self, control_id: str, value: str | bool) -> bool:
        """See `AgentConversation.set_control`."""
        return await self._within_trio(lambda: self._inner.set_control(control_id, value))

    @property
    def controls(self) -> tuple[SessionControl, ...]:
        """The controls as they were told last."""
        return self._inner.controls

    async def steer(self, text: str, *, attachments: Sequence[Attachment] = ()) -> Sent:
        """See `AgentConversation.steer`."""
        return await self._within_trio(lambda: self._inner.steer(text, attachments=attachments))

    async def stop_and_send(self, text: str, *, attachments: Sequence[Attachment] = ()) -> Sent:
        """See `AgentConversation.stop_and_send`."""
        return await self._within_trio(lambda: self._inner.stop_and_send(text, attachments=attachments))

    @overload
    async def ask(self, text: str, *, attachments: Sequence[Attachment] = ()) -> TurnResult: ...

    @overload
    async def ask(self, text: str, *, attachments: Sequence[Attachment] = (), schema: type[T]) -> T: ...

    @overload
    async def ask(
        self, text: str, *, attachments: Sequence[Attachment] = (), schema: Mapping[str, Any]
    ) -> Any: ...

    async def ask(self, text: str, **options: Any) -> Any:
        """See `AgentConversation.ask`; cancelling it interrupts its turn here, too."""
        return await self._within_trio(lambda: self._inner.ask(text, **options))

    async def end_of(self, sent: Sent) -> SendEnd:
        """Wait for the end of a sent message."""
        return await self._within_trio(sent.wait)

    async def withdraw(self, sent: Sent) -> bool:
        """See `AgentConversation.withdraw`."""
        return await self._within_trio(lambda: self._inner.withdraw(sent))

    async def interrupt(self, seconds: float | None = None) -> InterruptReceipt:
        """See `AgentConversation.interrupt`."""
        return await self._within_trio(lambda: self._inner.interrupt(seconds))

    async def decide(self, request: PermissionRequest, decision: PermissionDecision) -> bool:
        """See `AgentConversation.decide`."""
        return await self._within_trio(lambda: self._inner.decide(request, decision))

    async def answer(self, question: QuestionRequest, answer: QuestionAnswer) -> bool:
        """See `AgentConversation.answer`."""
        return await self._within_trio(lambda: self._inner.answer(question, answer))

    async def settled(self) -> None:
        """See `AgentConversation.settled`."""
        await self._within_trio(self._inner.settled)

    async def states(self) -> AsyncGenerator[ConversationState]:
        """See `AgentConversation.states`."""
        states = self._inner.states()
        state = None
        while state is not ConversationState.CLOSED:
            state = await self._within_trio(states.__anext__)
            yield state

    def events(self) -> AsyncioSubscription[Event]:
        """See `AgentConversation.events`."""
        return AsyncioSubscription(self._inner.events(), self._within_trio)

    def results(self) -> AsyncioSubscription[TurnResult]:
        """See `AgentConversation.results`."""
        return AsyncioSubscription(self._inner.results(), self._within_trio)

    async def wait_background_done(self) -> None:
        """See `AgentConversation.wait_background_done`."""
        await self._within_trio(self._inner.wait_background_done)

    async def wait_state(self, *states: ConversationState) -> ConversationState:
        """See `AgentConversation.wait_state`."""
        return await self._within_trio(lambda: self._inner.wait_state(*states))

    async def wait_closed(self) -> str:
        """See `AgentConversation.wait_closed`."""
        return await self._within_trio(self._inner.wait_closed)

    async def close(self) -> ClosingReport:
        """See `AgentConversation.close`."""
        return await self._within_trio(self._inner.close)

    def on_event(self, handler: EventHandler) -> Unsubscribe:
        """See `AgentConversation.on_event`."""
        return self._inner.on_event(handler)

    def on_message(self, handler: MessageHandler) -> Unsubscribe:
        """See `AgentConversation.on_message`."""
        return self._inner.on_message(handler)

    def on_permission_request(self, handler: PermissionHandler) -> Unsubscribe:
        """See `AgentConversation.on_permission_request`."""
        return self._inner.on_permission_request(handler)

    def on_question(self, handler: QuestionHandler) -> Unsubscribe:
        """See `AgentConversation.on_question`."""
        return self._inner.on_question(handler)

    def is_pending(self) -> bool:
        """See `AgentConversation.is_pending`."""
        return self._inner.is_pending()

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is ending."""
        return self._inner.closed

    @property
    def closed_reason(self) -> str | None:
        """Why it has ended; `None` while it has not."""
        return self._inner.closed_reason

    @property
    def background(self) -> tuple[BackgroundTask, ...]:
        """The work that the agent has left running."""
        return self._inner.background

    @property
    def state(self) -> ConversationState:
        """What it is doing now."""
        return self._inner.state

    @property
    def session(self) -> str | None:
        """The name under which a later conversation can resume this one."""
        return self._inner.session

    @property
    def capabilities(self) -> Capabilities:
        """What its backend can do."""
        return self._inner.capabilities

    @property
    def queued(self) -> tuple[str, ...]:
        """The texts that wait."""
        return self._inner.queued

    @property
    def permission_requests(self) -> tuple[ToolRequest, ...]:
        """The requests that wait for a decision."""
        return self._inner.permission_requests

    @property
    def questions(self) -> tuple[QuestionRequest, ...]:
        """The questions that wait for an answer."""
        return self._inner.questions


@asynccontextmanager
async def open_asyncio_conversation(
    agent: Agent,
    *,
    workdir: str | PathLike[str],
    home: str | PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    tools: Sequence[Function] = (),
    mcp_servers: Sequence[AnyMcpServer] = (),
    answer_schema: type[Any] | Mapping[str, Any] | None = None,
    options: ConversationOptions = DEFAULT_OPTIONS,
) -> AsyncGenerator[AsyncioConversation]:
    """`open_conversation`, under asyncio; `tools` are asyncio coroutine functions."""

    def opening(boundary: Boundary) -> Any:
        return open_conversation(
            agent,
            workdir=workdir,
            home=home,
            environment=environment,
            tools=tools,
            mcp_servers=mcp_servers,
            answer_schema=answer_schema,
            options=options,
            boundary=boundary,
        )

    async with converse_from_asyncio(opening) as conversation:
        yield conversation


@asynccontextmanager
async def converse_from_asyncio(opening: Opening) -> AsyncGenerator[AsyncioConversation]:
    """Own the conversation that `opening` opens while an asyncio block runs."""
    async with trio_block(opening) as conversation:
        yield AsyncioConversation(conversation)


@asynccontextmanager
async def trio_block(opening: Opening) -> AsyncGenerator[Any]:
    """Enter the Trio block that `opening` makes while an asyncio block runs; yields what it yields."""
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[Any] = loop.create_future()
    left = asyncio.Event()

    async def own(boundary: Boundary) -> None:
        async with opening(boundary) as value:
            if not opened.done():
                opened.set_result(value)
            await boundary.wait_flag(left)

    owner = asyncio.ensure_future(run_in_trio(own))
    try:
        either: list[asyncio.Future[Any]] = [owner, opened]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if opened.done():
            yield opened.result()
    except asyncio.CancelledError:
        owner.cancel()
        await asyncio.wait([owner])
        raise
    except GeneratorExit:
        # This generator is being destroyed, mostly after the loop was closed, so nothing can be awaited. The guest has
        # ended the agent by then.
        if not loop.is_closed():
            left.set()
        raise
    except BaseException:
        await _leave(left, owner)
        raise
    else:
        await _leave(left, owner)


async def _leave(left: asyncio.Event, owner: asyncio.Task[None]) -> None:
    left.set()
    await owner
