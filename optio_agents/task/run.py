"""One run of an agent's task: connect, session, keep or forget the workdir, clean up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from optio_agents.context import AgentSender, HookContext
from optio_agents.protocol.prompt import RESUME_NOTICE
from optio_agents.protocol.protocol import Protocol
from optio_agents.protocol.session import (
    BodyCallback,
    CallerMessageCallback,
    DeliverableCallback,
    DeliverableFileCallback,
    HookCallback,
    run_log_protocol_session,
)
from optio_agents.session.deliverable import DeliverableFile
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import Ending, SessionOutcome
from optio_agents.task import saved
from optio_agents.task.agent import AgentProcess

_logger = logging.getLogger("optio_agents.task")

Conversing: TypeAlias = Callable[[AgentProcess, HookContext], AbstractAsyncContextManager[AgentSender]]
"""Opens a conversation over the streams of a running agent, for as long as the agent runs; yields the function that
puts one message into it. It has to read the agent's standard output."""

SAVE_SECONDS = 60.0
"""How long keeping the workdir may take after a failure."""

SAVE_SECONDS_CANCELLED = 1.5
"""... and after a cancellation, as optio's grace (5 s by default) runs meanwhile."""

TASK_OPTIONS = SessionOptions(cancel_grace=3.0)
"""Deadlines that fit into optio's grace."""


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """What `create_agent_task` was told; `execute` is the task's body."""

    command: str
    make_host: Callable[[], Any]
    prepare: BodyCallback | None = None
    before_execute: HookCallback | None = None
    on_deliverable: DeliverableCallback | None = None
    on_deliverable_file: DeliverableFileCallback | None = None
    on_caller_message: CallerMessageCallback | None = None
    after_execute: HookCallback | None = None
    protocol: Protocol | None = None
    conversation: Conversing | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    supports_resume: bool = False
    keep_taskdir: bool = False
    options: SessionOptions = TASK_OPTIONS

    async def execute(self, ctx: Any) -> None:
        """Run the task once. To optio an exception means `failed`, and a return once it has asked for the end
        `cancelled`.
        """
        try:
            async with self._host() as host:
                await self._run_on(host, ctx)
        except Exception as error:
            if ctx.should_continue():
                raise
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The grace is over and optio has cancelled the very task: that is for optio to judge.
                raise asyncio.CancelledError from error
            # optio has asked for the end: what broke on the way there does not make it a failure.
            ctx.report_progress(None, f"While it was being cancelled: {error!r}", level="warning")

    async def _run_on(self, host: Any, ctx: Any) -> None:
        agent = AgentProcess(host, self.command)
        await agent.end_leftovers()
        # A workdir that was not filled yet must not replace what an earlier run has left.
        filled = asyncio.Event()
        try:
            outcome = await self._session(host, ctx, agent, filled)
        except Exception:
            if filled.is_set():
                await self._save(ctx, host, SAVE_SECONDS)
            raise
        if outcome.ending is Ending.CANCELLED:
            if filled.is_set():
                await self._save(ctx, host, SAVE_SECONDS_CANCELLED)
        elif self.supports_resume:
            await saved.forget(ctx)

    async def _session(
        self, host: Any, ctx: Any, agent: AgentProcess, filled: asyncio.Event
    ) -> SessionOutcome:
        channel = _Channel()

        async def prepare(host: Any, hook_context: HookContext) -> None:
            if ctx.resume and not await saved.restore(ctx, host):
                ctx.report_progress(None, "Nothing was kept of the last run: starting anew", level="warning")
            if self.prepare is not None:
                await self.prepare(host, hook_context)
            filled.set()

        async def body(host: Any, hook_context: HookContext) -> None:
            await self._run_agent(agent, channel, hook_context, resumed=ctx.resume)

        on_file = self.on_deliverable_file
        if on_file is None and self.on_deliverable is None:
            on_file = store_as_blob
        return await run_log_protocol_session(
            host,
            ctx,
            body=body,
            prepare=prepare,
            before_execute=self.before_execute,
            on_deliverable=self.on_deliverable,
            on_deliverable_file=on_file,
            on_caller_message=self.on_caller_message,
            after_execute=self.after_execute,
            protocol=self.protocol,
            agent_sender=channel.send,
            options=self.options,
        )

    async def _run_agent(
        self, agent: AgentProcess, channel: _Channel, hook_context: HookContext, *, resumed: bool
    ) -> None:
        converse = self.conversation or _lines
        try:
            await agent.start({**self.environment, **(hook_context.browser_launch_env or {})})
            async with converse(agent, hook_context) as sender:
                channel.open(sender)
                if resumed:
                    await hook_context.send_to_agent(RESUME_NOTICE)
                if self.conversation is None:
                    await agent.read_to_end()
                await agent.wait()
        finally:
            channel.close()
            await agent.end()

    async def _save(self, ctx: Any, host: Any, seconds: float) -> None:
        """Keep the workdir; trouble with that is reported and changes nothing about how the run ended."""
        if not self.supports_resume:
            return
        try:
            async with asyncio.timeout(seconds):
                await saved.save(ctx, host)
        except Exception as error:
            _logger.warning("the workdir of %s could not be kept", ctx.process_id, exc_info=error)
            ctx.report_progress(
                None, f"The workdir could not be kept for a resume: {error!r}", level="warning"
            )

    @asynccontextmanager
    async def _host(self) -> AsyncIterator[Any]:
        host = self.make_host()
        await host.connect()
        try:
            yield host
        finally:
            try:
                if not self.keep_taskdir:
                    await host.cleanup_taskdir(False)
            finally:
                await host.disconnect()


class _Channel:
    """The agent's input channel: the session has it from the start, and waits until the agent listens.

    The agent may announce something before we have come as far as holding its input.
    """

    def __init__(self) -> None:
        self._decided = asyncio.Event()
        self._sender: AgentSender | None = None

    def open(self, sender: AgentSender) -> None:
        """The agent listens."""
        self._sender = sender
        self._decided.set()

    def close(self) -> None:
        """It does not, or not any more."""
        self._sender = None
        self._decided.set()

    async def send(self, message: str) -> None:
        """Pass a message on. Raises `BrokenPipeError` when there is nobody to get it."""
        await self._decided.wait()
        if self._sender is None:
            raise BrokenPipeError("the agent has ended")
        await self._sender(message)


async def store_as_blob(hook_context: HookContext, file: DeliverableFile) -> None:
    """Accept a deliverable by storing it in the database, named `deliverables/<path>`."""
    async with hook_context.store_blob(f"deliverables/{file.path}") as blob:
        async for piece in file.chunks():
            await blob.write(piece)


@asynccontextmanager
async def _lines(agent: AgentProcess, hook_context: HookContext) -> AsyncIterator[AgentSender]:
    """The plain conversation: each message is a line on the agent's standard input."""
    yield agent.send
