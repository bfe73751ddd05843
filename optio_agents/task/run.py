"""One run of an agent's task: connect, session, keep or forget the workdir, clean up."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from optio_core.exceptions import NothingToResurrect
from optio_host.host import LocalHost

from optio_agents.context import AgentSender, HookContext
from optio_agents.conversation.values import AgentNotStarted
from optio_agents.hosts import shell
from optio_agents.hosts.adapt import run_repeatable
from optio_agents.protocol.display import display_text
from optio_agents.protocol.prompt import RESUME_NOTICE
from optio_agents.protocol.protocol import Protocol
from optio_agents.session.callbacks import (
    BodyCallback,
    CallerMessageCallback,
    DeliverableCallback,
    DeliverableFileCallback,
    HookCallback,
)
from optio_agents.session.entry import run_log_protocol_session
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import Ending, SessionOutcome
from optio_agents.task import saved
from optio_agents.task.agent import OUTPUT_BYTES, AgentProcess
from optio_agents.task.claim import DirectoryClaim, Disposition, RunRecord, claimed
from optio_agents.task.conversing import TaskConversation
from optio_agents.task.deliverables import Deliverables
from optio_agents.task.environment import InheritEnv, withheld
from optio_agents.task.memory import ConversationMemory
from optio_agents.task.process_log import ProcessLog
from optio_agents.task.work import Work
from optio_agents.uploads import UploadCallback, materialize

_logger = logging.getLogger("optio_agents.task")

Conversing: TypeAlias = Callable[[AgentProcess, HookContext], AbstractAsyncContextManager[AgentSender]]
"""Opens a conversation over the streams of a running agent while it runs; yields the function that sends one message.
It must read the agent's standard output."""

CANCEL_GRACE = 3.0
TASK_OPTIONS = SessionOptions(cancel_grace=CANCEL_GRACE)
"""Deadlines that fit into optio's grace (5 s by default)."""

OUTPUT_BLOB = "agent-output"
"""The name of the blob with the end of the agent's output."""

OUTPUT_STORE_SECONDS = 10.0

END_SECONDS = 1.0
"""For the last update of the progress bar at the end of a run."""


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """The arguments of `create_agent_task`; `execute` is the task's body, `resurrect` and the rest are its hooks."""

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
    env: Mapping[str, str] = field(default_factory=dict)
    inherit_env: InheritEnv = None
    supports_resume: bool = False
    keep_taskdir: bool = False
    keep_output: bool = False
    output_bytes: int = OUTPUT_BYTES
    result: str | None = None
    uploads: bool = False
    on_upload: UploadCallback | None = None
    options: SessionOptions = TASK_OPTIONS

    async def execute(self, ctx: Any) -> None:
        """Run the task once.

        optio takes an exception as `failed`, and a return after it has requested cancellation as `cancelled`.
        """
        try:
            async with self._connected() as host, claimed(host, ctx) as claim:
                await self._run_in(claim, host, ctx)
        except Exception as error:
            if ctx.should_continue():
                raise
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The grace is over and optio has cancelled this asyncio task: let optio handle that.
                raise asyncio.CancelledError from error
            # optio has requested cancellation: an error during the shutdown does not make the run a failure.
            ctx.report_progress(None, f"While it was being cancelled: {error!r}", level="warning")

    async def resurrect(self, ctx: Any) -> None:
        """Save the work that an interrupted run has left on its host, and remove it there. optio then resumes.

        Raises:
            NothingToResurrect: nothing is left there.
        """
        async with self._connected() as host, claimed(host, ctx) as claim:
            await AgentProcess(host, self.command).end_leftovers()
            if not await has_files(host):
                claim.disposition = Disposition.REMOVE
                raise NothingToResurrect(f"there is no work in {host.workdir}")
            await saved.save(ctx, host)
            claim.disposition = Disposition.REMOVE

    async def end_orphans(self, ctx: Any) -> bool:
        """End what a killed worker's run has left running on its host, and keep its work there.

        Returns:
            Whether there is work that `resurrect` can save.

        Raises:
            DirectoryInUse: a run has the directory.
        """
        async with self._connected() as host, claimed(host, ctx, sign=False):
            await AgentProcess(host, self.command).end_leftovers()
            return await has_files(host)

    async def _run_in(self, claim: DirectoryClaim, host: Any, ctx: Any) -> None:
        agent = AgentProcess(host, self.command, output_bytes=self.output_bytes)
        await agent.end_leftovers()
        memory = self._memory(ctx)
        agent.memory = memory
        work = Work(ctx, host, claim, memory, resumable=self.supports_resume)
        log = ProcessLog(ctx, self.options.on_event)
        deliverables = Deliverables(self.result)
        if claim.previous is not None:
            await self._meet_interrupted(claim.previous, host, ctx, work)
        try:
            outcome = await self._session(host, ctx, agent, work, log, deliverables)
            if outcome.ending is Ending.CANCELLED:
                await work.save_cancelled()
            else:
                await deliverables.store_result(ctx)
                await work.forget()
        except Exception:
            await (work.save() if ctx.should_continue() else work.save_cancelled())
            await self._store_output(ctx, agent)
            await _show_percent(ctx, log.percent)
            raise
        else:
            if self.keep_output:
                await self._store_output(ctx, agent)
            await _show_percent(ctx, 100.0 if outcome.ending is Ending.DONE else log.percent)
        finally:
            work.end(keep=self.keep_taskdir)
            if (left := await agent.end()) is not None:
                ctx.report_progress(None, f"The agent was ended; {display_text(left, 300)}", level="warning")

    async def _meet_interrupted(self, previous: RunRecord, host: Any, ctx: Any, work: Work) -> None:
        """Save the work that an earlier run has left on the host, and report it."""
        what = f"An earlier run was interrupted ({previous}). "
        if await has_files(host):
            ctx.report_progress(None, f"{what}Saving its work", level="warning")
            what = await work.rescue()
        else:
            what += "It had done nothing yet"
        ctx.report_progress(None, what, level="warning")

    async def _session(
        self,
        host: Any,
        ctx: Any,
        agent: AgentProcess,
        work: Work,
        log: ProcessLog,
        deliverables: Deliverables,
    ) -> SessionOutcome:
        channel = _Channel()

        async def prepare(host: Any, hook_context: HookContext) -> None:
            if ctx.resume and not await work.restore():
                ctx.report_progress(
                    None, "Nothing was kept of the last run: this one begins from scratch", level="warning"
                )
            if self.prepare is not None:
                await self.prepare(host, hook_context)
            await work.begin()

        async def body(host: Any, hook_context: HookContext) -> None:
            with self._taking_uploads(host, hook_context):
                await self._run_agent(agent, channel, hook_context, resumed=ctx.resume)

        async def after_execute(hook_context: HookContext) -> None:
            if not ctx.should_continue():
                # Save first: the hook may take the rest of optio's grace.
                await agent.end()
                await work.save_cancelled()
            if self.after_execute is not None:
                await self.after_execute(hook_context)

        on_file = self.on_deliverable_file
        if on_file is None and self.on_deliverable is None:
            on_file = deliverables.store
        return await run_log_protocol_session(
            host,
            ctx,
            body=body,
            prepare=prepare,
            before_execute=self.before_execute,
            on_deliverable=self.on_deliverable,
            on_deliverable_file=on_file,
            on_caller_message=self.on_caller_message,
            after_execute=after_execute,
            protocol=self.protocol,
            agent_sender=channel.send,
            options=replace(self.options, on_event=log),
        )

    @contextmanager
    def _taking_uploads(self, host: Any, hook_context: HookContext) -> Iterator[None]:
        """Let users upload files into the workdir while the agent runs."""
        if not self.uploads:
            yield
            return
        on_upload = self.on_upload or _tell_of_upload

        async def write(filename: str, data: bytes) -> str:
            return await materialize(host, host.workdir, filename, data, hook_context, on_upload)

        hook_context._ctx.register_upload_writer(write)
        try:
            yield
        finally:
            hook_context._ctx.clear_upload_writer()

    def _memory(self, ctx: Any) -> ConversationMemory | None:
        can_be_kept = self.supports_resume and hasattr(ctx, "store_blob")
        return (
            ConversationMemory(ctx)
            if isinstance(self.conversation, TaskConversation) and can_be_kept
            else None
        )

    async def _run_agent(
        self, agent: AgentProcess, channel: _Channel, hook_context: HookContext, *, resumed: bool
    ) -> None:
        is_local = isinstance(hook_context._host, LocalHost)
        own = self.conversation.agent.environment if isinstance(self.conversation, TaskConversation) else {}
        start = partial(
            agent.start,
            {**own, **self.env, **(hook_context.browser_launch_env or {})},
            without=withheld(os.environ, self.inherit_env) if is_local else (),
        )
        try:
            if (arguments := self._resume_arguments(agent.memory)) is not None:
                assert agent.memory is not None
                agent.memory.continues = True
                await start(arguments=arguments)
                try:
                    return await self._converse(agent, channel, hook_context, resumed=resumed)
                except AgentNotStarted as error:
                    await agent.end()
                    agent.memory.continues, agent.memory.trouble = False, display_text(str(error), 300)
                    trouble = f"The agent could not resume its conversation: {agent.memory.trouble}"
                    hook_context.report_progress(None, f"{trouble}. It begins a new one")
            await start()
            await self._converse(agent, channel, hook_context, resumed=resumed)
        finally:
            channel.close()
            await agent.end()

    def _resume_arguments(self, memory: ConversationMemory | None) -> tuple[str, ...] | None:
        """The arguments with which the agent resumes its session; `None` if it has none."""
        if not isinstance(self.conversation, TaskConversation) or memory is None or not memory.can_continue:
            return None
        return self.conversation.resume_arguments(memory.session or "")

    async def _converse(
        self, agent: AgentProcess, channel: _Channel, hook_context: HookContext, *, resumed: bool
    ) -> None:
        converse = self.conversation or _lines
        async with converse(agent, hook_context) as sender:
            channel.open(sender)
            if resumed and not isinstance(converse, TaskConversation):
                await hook_context.send_to_agent(RESUME_NOTICE)
            if self.conversation is None:
                await agent.read_output()
            await agent.wait()

    async def _store_output(self, ctx: Any, agent: AgentProcess) -> None:
        """Store the end of the agent's output. A failure of that does not change how the run ended."""
        store_blob, content = getattr(ctx, "store_blob", None), bytes(agent.output)
        if store_blob is None or not content:
            return
        try:
            async with asyncio.timeout(OUTPUT_STORE_SECONDS), store_blob(OUTPUT_BLOB) as blob:
                await blob.write(content)
        except Exception as error:
            _logger.warning("the output of %s could not be stored", ctx.process_id, exc_info=error)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        host = self.make_host()
        await host.connect()
        try:
            yield host
        finally:
            await host.disconnect()


async def _tell_of_upload(hook_context: HookContext, path: str) -> None:
    await hook_context.send_to_agent(f"the user has uploaded a file for you: ./{path}")


async def has_files(host: Any) -> bool:
    """Whether the workdir of `host` exists and is not empty."""
    listed = await run_repeatable(host, shell.command(_HAS_FILES, host.workdir))
    return bool(listed.exit_code == 0)


_HAS_FILES = 'cd -- "$1" 2>/dev/null && [ -n "$(ls -A)" ]'


async def _show_percent(ctx: Any, percent: float | None) -> None:
    """Set the progress bar to `percent`, because a message without a percentage has made it indeterminate.

    optio-core writes a bare percentage before the messages that wait, so the waiting messages are written first.
    """
    flush = getattr(ctx, "flush_final_progress", None)
    if percent is None or flush is None:
        return
    with suppress(Exception):  # optio-core tries again, and reports a second failure
        async with asyncio.timeout(END_SECONDS):
            await flush()
        ctx.report_progress(percent)


class _Channel:
    """The agent's input channel: the session has it from the start; `send` waits until the agent's input is open.

    The agent may announce something before we have its input.
    """

    def __init__(self) -> None:
        self._decided = asyncio.Event()
        self._sender: AgentSender | None = None

    def open(self, sender: AgentSender) -> None:
        """The agent's input is open: send messages by `sender`."""
        self._sender = sender
        self._decided.set()

    def close(self) -> None:
        """The agent's input is not open, or not any more."""
        self._sender = None
        self._decided.set()

    async def send(self, message: str) -> None:
        """Pass on a message. Raises `BrokenPipeError` if there is no agent that reads it."""
        await self._decided.wait()
        if self._sender is None:
            raise BrokenPipeError("the agent has ended")
        await self._sender(message)


@asynccontextmanager
async def _lines(agent: AgentProcess, hook_context: HookContext) -> AsyncIterator[AgentSender]:
    """The plain conversation: each message is a line on the agent's standard input."""
    yield agent.send
