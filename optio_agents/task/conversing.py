"""A conversation over the streams of an agent that an optio task has started, on any host.

`create_agent_task(conversation=...)` takes the result of `conversing(...)`, for agents that have a codec:

    create_agent_task(shlex.join(claude().command), ..., conversation=conversing(claude(), prompt))

The agent's checklist shows as progress and in the dashboard, and survives a resume; so do messages that waited for the
agent when a run ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from optio_agents.bridge import Boundary
from optio_agents.context import SYSTEM_MESSAGE_PREFIX, AgentSender, HookContext
from optio_agents.conversation.agent_body import deliver
from optio_agents.conversation.agents import Agent, replaying
from optio_agents.conversation.from_asyncio import AsyncioConversation, converse_from_asyncio
from optio_agents.conversation.opening import open_conversation_over
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.stream_transport import AgentStreams, StreamTransport
from optio_agents.conversation.surface import PermissionHandler
from optio_agents.session.optio_context import grace_left
from optio_agents.task import waiting_messages
from optio_agents.task.memory import ConversationMemory
from optio_agents.task.outage import OUTAGE_SECONDS, outlast_outage
from optio_agents.task.web_widget import WebOptions, shown_in_dashboard
from optio_agents.todos import TodoTracker, TodoUpdate
from optio_agents.todos.backends import extract_todo
from optio_agents.todos.publisher import Publisher
from optio_agents.web.extra import require_web

SAVE_SECONDS = OUTAGE_SECONDS
"""Seconds at the end of a run for saving the checklist and the waiting messages, each."""

GRACE_SHARE = 0.15
"""The share of the remaining grace that each of them gets after a cancellation. The workdir needs most of it."""

_logger = logging.getLogger("optio_agents.task")


@dataclass(frozen=True, kw_only=True)
class TaskConversation:
    """How an optio task talks to an agent that has a codec. Made by `conversing`."""

    agent: Agent
    prompt: str
    on_permission_request: PermissionHandler | None
    publish: bool
    options: ConversationOptions
    todos: bool
    keep_messages: bool
    web: WebOptions | None = None
    uploads: bool = False
    """Whether the task takes uploads: the dashboard shows a button for them."""

    def resume_arguments(self, session: str) -> tuple[str, ...] | None:
        """The arguments with which the agent resumes a session; `None` if it cannot."""
        if self.agent.resumed is None:
            return None
        return self.agent.resumed(session).command[len(self.agent.command) :]

    @asynccontextmanager
    async def __call__(self, streams: AgentStreams, hook_context: HookContext) -> AsyncGenerator[AgentSender]:
        """Converse over the streams of a running agent while the block runs.

        Raises:
            AgentNotStarted: it was not ready, or it cannot resume its session.
        """
        memory: ConversationMemory = getattr(streams, "memory", None) or ConversationMemory(hook_context._ctx)
        agent, options = self.agent, self.options
        if memory.continues and agent.resumed is not None and memory.session is not None:
            agent = agent.resumed(memory.session)

        def opening(boundary: Boundary) -> Any:
            async def connect(nursery: trio.Nursery) -> StreamTransport:
                await trio.lowlevel.checkpoint()
                return StreamTransport(streams, boundary, options)

            codec = agent.codec(hook_context._host.workdir)
            return open_conversation_over(connect, codec, name=agent.name, options=options, boundary=boundary)

        resume = bool(getattr(hook_context, "resume", False))
        async with (
            _checklist(hook_context, resume=resume, wanted=self.todos) as follow,
            converse_from_asyncio(opening) as conversation,
        ):
            follow(conversation)
            if self.on_permission_request is not None:
                conversation.on_permission_request(self.on_permission_request)
            publish_result = getattr(hook_context, "publish_result", None)
            if self.publish and publish_result is not None:
                publish_result(conversation)

            async def sender(message: str) -> None:
                await deliver(conversation, message)

            first = memory.first_words(self.prompt)
            async with (
                self._web(conversation, hook_context, memory.transcript.events()),
                _remembered(conversation, memory, hook_context, first) as note,
                _messages(conversation, hook_context, first, resume=resume, wanted=self.keep_messages),
            ):
                note()
                yield sender

    def _web(
        self, conversation: AsyncioConversation, hook_context: HookContext, earlier: list[dict[str, Any]]
    ) -> Any:
        if self.web is None:
            return nullcontext()
        return shown_in_dashboard(
            conversation, hook_context, self.agent.name, self.web, uploads=self.uploads, earlier=earlier
        )


def conversing(
    agent: Agent,
    prompt: str,
    *,
    on_permission_request: PermissionHandler | None = None,
    publish: bool = True,
    options: ConversationOptions = DEFAULT_OPTIONS,
    todos: bool = True,
    keep_messages: bool = True,
    web: WebOptions | bool = False,
) -> TaskConversation:
    """How an optio task talks to an agent that has a codec: for `create_agent_task(conversation=...)`.

    A resumed task continues the same conversation if the agent can resume its session: the first message is not
    repeated. The agent itself decides where it keeps its sessions (usually in its HOME, on the machine where it ran).
    If it cannot resume the session, the process's log says so, and the agent gets its task once more, with that reason.

    Args:
        agent: The agent. This uses its codec; the task runs its command.
        prompt: The first message.
        on_permission_request: Decides its permission requests; may be an asyncio coroutine function.
        publish: Publish the conversation as the run's result (`ctx.publish_result`) before the prompt is sent, so that
            the code that launched the task in this worker can follow it and talk to the agent. A run has one result:
            pass `False` if a hook of the task publishes its own.
        options: Deadlines.
        todos: Show the checklist that the agent keeps (its todo tool, its plan), and keep it for a resumed run.
        keep_messages: Keep the messages that wait for the agent in the database, and send them again after a resume.
        web: Show the conversation in optio's dashboard: a chat with permissions and questions. It needs the extra
            `web`. Claude Code gets one more argument, so that messages from elsewhere are shown. A task that gives its
            own `command` must add `--replay-user-messages` itself.

    Raises:
        ImportError: `web`, and the extra is not installed.
    """
    if web:
        require_web()
    return TaskConversation(
        agent=replaying(agent) if web else agent,
        prompt=prompt,
        on_permission_request=on_permission_request,
        publish=publish,
        options=options,
        todos=todos,
        keep_messages=keep_messages,
        web=WebOptions() if web is True else web or None,
    )


@asynccontextmanager
async def _remembered(
    conversation: AsyncioConversation, memory: ConversationMemory, hook_context: HookContext, first: str
) -> AsyncIterator[Callable[[], None]]:
    """Save the agent's session as soon as it is known, and the transcript; yields the function that observes both."""
    is_kept = getattr(hook_context._ctx, "store_blob", None) is not None

    def note() -> None:
        if is_kept:
            reached = not conversation.closed and first not in conversation.queued
            memory.note(conversation.session, prompted=reached)

    def observe(event: dict[str, Any]) -> None:
        memory.transcript.add(event)
        note()
        if is_kept and not conversation.is_pending():
            memory.turn_ended()

    unsubscribe = conversation.on_event(observe)
    try:
        yield note
    finally:
        unsubscribe()
        note()
        await _within_grace(hook_context._ctx, memory.settle(), "the session of the agent")


@asynccontextmanager
async def _checklist(
    hook_context: HookContext, *, resume: bool, wanted: bool
) -> AsyncIterator[Callable[[AsyncioConversation], None]]:
    """The agent's checklist; yields the function that connects it to a conversation."""
    if not wanted:
        yield lambda _: None
        return

    def extract(event: dict[str, Any]) -> TodoUpdate | None:
        update = extract_todo(event)
        if update is not None:
            saver.changed()
        return update

    tracker = TodoTracker(extract, hook_context)
    # Save with each update, so that little is left to do at the end, when time is short.
    saver = Publisher(lambda: tracker.save(hook_context._host), "file of the todo list")
    await outlast_outage(partial(_make_room_for_todos, hook_context._ctx))
    if resume:
        await tracker.restore(hook_context._host)
    try:
        yield tracker.arm
    finally:
        tracker.disarm()
        await _within_grace(hook_context._ctx, saver.settle(), "the todo list")


async def _make_room_for_todos(ctx: Any) -> None:
    """Make widget data if there is none: optio-core adds rows only to existing widget data."""
    if not hasattr(ctx, "set_widget_data") or not hasattr(ctx, "_db"):
        return
    row = await ctx._db[f"{ctx._prefix}_processes"].find_one({"_id": ctx._process_oid}, {"widgetData": 1})
    if row is not None and not isinstance(row.get("widgetData"), dict):
        await ctx.set_widget_data({})


@asynccontextmanager
async def _messages(
    conversation: AsyncioConversation, hook_context: HookContext, first: str, *, resume: bool, wanted: bool
) -> AsyncIterator[None]:
    """Send the first message, then what an earlier run left unsent. Save what waits, in case the worker is killed."""
    ctx = hook_context._ctx
    if not wanted or not hasattr(ctx, "store_blob") or not hasattr(ctx, "_db"):
        await conversation.send(first)
        yield
        return
    if not resume:
        await outlast_outage(partial(waiting_messages.store, ctx, ()))
    earlier = await outlast_outage(partial(waiting_messages.load, ctx)) if resume else []
    kept = tuple(earlier)

    def users(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each for each in texts if each != first and not each.startswith(SYSTEM_MESSAGE_PREFIX))

    async def keep() -> None:
        nonlocal kept
        waiting = users((await conversation.close()).unsent if conversation.closed else conversation.queued)
        if waiting != kept:
            await outlast_outage(partial(waiting_messages.store, ctx, waiting))
            kept = waiting

    keeper = Publisher(keep, "list of waiting messages")

    def observe(_: object) -> None:
        if conversation.closed or users(conversation.queued) != kept:
            keeper.changed()

    unsubscribe = conversation.on_event(observe)
    try:
        for text in (first, *earlier):
            await conversation.send(text)
        yield
    finally:
        unsubscribe()
        keeper.changed()
        await _within_grace(ctx, keeper.settle(), "the messages that wait")


async def _within_grace(ctx: Any, saving: Any, what: str) -> None:
    left = grace_left(ctx)
    try:
        async with asyncio.timeout(SAVE_SECONDS if left is None else GRACE_SHARE * left):
            await saving
    except TimeoutError:
        _logger.warning("%s could not be saved in time", what)
