"""Opening a conversation: an agent's process, the conversation, and the block that owns both."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.bridge.forked import session_of_trio
from optio_agents.bridge.trio_boundary import TrioBoundary
from optio_agents.conversation.actor_state import (
    MAILBOX_CAPACITY,
    Core,
    converse,
    end_when_asked,
    listen,
)
from optio_agents.conversation.agents import Agent
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.mcp_servers import AnyMcpServer, checked_servers
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.process import ConversationProcess, start_process
from optio_agents.conversation.structured import AnswerSchema
from optio_agents.conversation.transport import Transport
from optio_agents.conversation.values import AgentNotStarted, ConversationState
from optio_agents.session.instrumentation import installed

if TYPE_CHECKING:
    from optio_agents.conversation.tools.functions import Function

NO_RESTARTS = actors.Intensity(restarts=0, seconds=1.0)
"""A conversation's state cannot be rebuilt from outside, so a failure of its actor ends it."""

HANDLER_SECONDS = 2.0
"""How long the handlers may take, once all is over, for the events that they have not been called with yet."""


@asynccontextmanager
async def open_conversation(
    agent: Agent,
    *,
    workdir: str | os.PathLike[str],
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    tools: Sequence[Function] = (),
    mcp_servers: Sequence[AnyMcpServer] = (),
    answer_schema: type[Any] | Mapping[str, Any] | None = None,
    options: ConversationOptions = DEFAULT_OPTIONS,
    boundary: Boundary | None = None,
) -> AsyncGenerator[AgentConversation]:
    """Start `agent` in `workdir`, and yield the conversation when the agent is ready.

    Leaving the block closes the conversation. A cancellation kills the agent. In both cases nothing remains: no
    process (descendants included), no task, and no TMPDIR.

    Args:
        agent: What to run; see `optio_agents.conversation.agents`.
        workdir: The directory in which it works.
        home: Its HOME. By default ours, where it finds its login and its settings.
        environment: Instead of our own environment variables.
        tools: Typed coroutine functions that the agent may call (`conversation/tools/functions.py` says which). They
            are called without asking for a permission; a call ends with its turn.
        mcp_servers: MCP servers of others: `McpServer` (remote) and `McpCommand` (started by the agent).
        answer_schema: What `ask(schema=...)` will ask for, for an agent that must know it at its start (claude). The
            others ignore it.
        options: Time and memory limits.
        boundary: How handlers are called; by default as Trio coroutines.

    Raises:
        AgentNotStarted: it is missing, cannot be run, refuses, or was not ready in time. The text quotes its output.
        TypeError, ValueError: a tool or a server cannot be offered.
        ImportError: there are tools, and the extra `tools` is not installed.
    """
    servers = checked_servers(mcp_servers)
    cwd = _absolute(workdir)
    inherited = os.environ if environment is None else environment
    connect = partial(
        start_process,
        name=agent.name,
        command=agent.command,
        cwd=cwd,
        environment={**inherited, **agent.environment},
        home=None if home is None else _absolute(home),
        options=options,
    )
    codec = agent.codec(cwd)
    codec.mcp_servers = servers
    codec.answer_schema = None if answer_schema is None else AnswerSchema(answer_schema).schema
    boundary = boundary or TrioBoundary()
    with session_of_trio():
        if tools:
            async with _with_tools(tools, connect, codec, agent.name, options, boundary) as conversation:
                yield conversation
        else:
            async with open_conversation_over(
                connect, codec, name=agent.name, options=options, boundary=boundary
            ) as conversation:
                yield conversation


@asynccontextmanager
async def _with_tools(
    tools: Sequence[Function],
    connect: Callable[[trio.Nursery], Awaitable[ConversationProcess]],
    codec: Codec,
    name: str,
    options: ConversationOptions,
    boundary: Boundary,
) -> AsyncGenerator[AgentConversation]:
    """A conversation whose agent may call `tools`, which last as long as it does."""
    from optio_agents.conversation.tools.listener import open_tool_listener

    async with open_tool_listener(tools, boundary, options) as listener:
        codec.mcp_servers = checked_servers((*codec.mcp_servers, listener.server))
        codec.own_server = listener.server.name

        async def connect_and_admit(nursery: trio.Nursery) -> Transport:
            process = await connect(nursery)
            listener.admit(process.tree)
            return process

        async with open_conversation_over(
            connect_and_admit, codec, name=name, options=options, boundary=boundary
        ) as conversation:
            listener.follow(conversation)
            yield conversation


@asynccontextmanager
async def open_conversation_over(
    connect: Callable[[trio.Nursery], Awaitable[Transport]],
    codec: Codec,
    *,
    name: str,
    options: ConversationOptions = DEFAULT_OPTIONS,
    boundary: Boundary | None = None,
) -> AsyncGenerator[AgentConversation]:
    """Like `open_conversation`, over the transport that `connect` returns; `connect` may put tasks into the nursery."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                async with _talking(
                    nursery, connect, codec, name, options, boundary or TrioBoundary()
                ) as conversation:
                    try:
                        await _ready(conversation, conversation.core)
                        yield conversation
                    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - raised below
                        failure = error
                    await conversation.close()
            except Exception as error:  # noqa: BLE001 - raised below, outside of the nursery
                failure = failure or error
            nursery.cancel_scope.cancel(reason="the conversation has ended")
    except BaseExceptionGroup as group:
        # One of our own tasks failed: that is a bug. Our owner gets one exception, not a group.
        raise group.exceptions[0] if len(group.exceptions) == 1 else group  # noqa: B904
    if failure is not None:
        raise failure


@asynccontextmanager
async def _talking(
    nursery: trio.Nursery,
    connect: Callable[[trio.Nursery], Awaitable[Transport]],
    codec: Codec,
    name: str,
    options: ConversationOptions,
    boundary: Boundary,
) -> AsyncGenerator[AgentConversation]:
    """Run the actor and its tasks over a transport. At the end, finish the transport and settle everything."""
    transport = await connect(nursery)
    core = Core(codec, options)
    conversation: AgentConversation | None = None
    try:
        async with actors.open_supervisor(
            name=f"conversation with {name}",
            intensity=NO_RESTARTS,
            on_dead_letter=lambda letter: core.unhandled(letter.message),
        ) as supervisor:
            ref = await supervisor.start(
                actors.actor(converse, core),
                name="conversation",
                capacity=MAILBOX_CAPACITY,
                restart=actors.TRANSIENT,
            )
            nursery.start_soon(core.outbox.write_to, transport, name=f"writer to {name}")
            nursery.start_soon(listen, transport, core, ref, name=f"listener to {name}")
            nursery.start_soon(end_when_asked, transport, core, ref, name=f"end of {name}")
            conversation = AgentConversation(name, core, ref, nursery, boundary)
            if (instrument := installed()) is not None:
                nursery.start_soon(instrument.conversation, conversation)
            yield conversation
    finally:
        await transport.finish()
        core.abandon("its block was left")
        if conversation is not None:
            with trio.move_on_after(HANDLER_SECONDS):
                await conversation.handlers_done()


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(path)


async def _ready(conversation: AgentConversation, core: Core) -> None:
    if await core.state.wait_not(ConversationState.STARTING) is not ConversationState.CLOSED:
        return
    how = await core.over.wait()
    reason = core.turn_state.closed or how
    text = f"{conversation.name} was not ready: {reason}"
    if how not in text:
        text += f" ({how})"
    if core.first_words:
        text += "; it printed: " + " / ".join(core.first_words)
    raise AgentNotStarted(text)
