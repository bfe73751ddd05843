"""`optio-agents run --ssh`: the agent on a remote host, its session, its deliverables and its display here.

    asyncio.run ─→ Trio as its guest: `SshRun.run` (signals, timeout, output)
                      └─ boundary.call ─→ asyncio: connection, session callbacks, agent process

optio-host's `RemoteHost` needs asyncio. Everything else is shared with a run on this machine. Trio and asyncio share
one thread, so the callbacks below may use the run's state and its output directly.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.run.deliverable_store import DeliverableStore
from optio_agents.cli.run.local_run import GRACE_SLACK, LocalRun, run_agent
from optio_agents.cli.run.output.events import AgentStarted, RunEnded
from optio_agents.cli.run.output.writers import Output
from optio_agents.cli.run.secret_prompt import ask_on_terminal
from optio_agents.cli.run.settings import RunSettings
from optio_agents.cli.run.ssh_agent import HURRIED_SECONDS, REMOTE_SECONDS, TROUBLE, RemoteAgent, bounded
from optio_agents.cli.run.terminal_context import TerminalContext
from optio_agents.cli.run.workspace import PREFIX, Workspace
from optio_agents.hosts.processes.exit_status import exit_text
from optio_agents.hosts.ssh.connecting import CannotConnect
from optio_agents.hosts.ssh.guarded import OrphanPolicy
from optio_agents.hosts.ssh.remote_host import TrustedRemoteHost
from optio_agents.hosts.ssh.settings import SshSettings
from optio_agents.session.deliverable import DeliverableFile
from optio_agents.session.outcome import SessionOutcome


def run_agent_over_ssh(settings: RunSettings, target: SshSettings) -> int:
    """Run the agent on `target`, show its events, save its deliverables here; return the exit code.

    Raises:
        CommandFailure: the run could not begin.
    """
    taskdir = f"/tmp/{PREFIX}{secrets.token_hex(12)}"

    def run_there(settings: RunSettings, workspace: Workspace, store: DeliverableStore) -> RunEnded:
        async def main() -> RunEnded:
            context = TerminalContext(asyncio.Event())
            return await run_in_trio(
                lambda boundary: SshRun(settings, workspace, store, context, target, taskdir, boundary).run()
            )

        return asyncio.run(main())

    return run_agent(replace(settings, workdir=Path(f"{taskdir}/workdir")), run_there)


class SshRun(LocalRun):
    """One run on a remote host. The overridden methods run under asyncio, except `_outcome`."""

    def __init__(
        self,
        settings: RunSettings,
        workspace: Workspace,
        store: DeliverableStore,
        context: TerminalContext,
        target: SshSettings,
        taskdir: str,
        boundary: Boundary,
    ) -> None:
        super().__init__(settings, workspace, store, context)
        self._target = target
        self._taskdir = taskdir
        self._boundary = boundary
        self._agent_decided = asyncio.Event()
        """The agent was started, or will not be."""
        self._connecting_is_over = trio.Event()
        self._hurried_there = asyncio.Event()

    def hurry(self) -> None:
        """See `LocalRun.hurry`; this also shortens the cleanup on the host."""
        super().hurry()
        self._hurried_there.set()

    async def _outcome(self) -> SessionOutcome:
        async with self._connected() as host:
            grace = self._patience.send + self._patience.end.total + 2 * REMOTE_SECONDS + GRACE_SLACK
            return await self._boundary.call(self._session_on, host, grace, label="the session")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        """Connect; at the end remove the task's directory and disconnect."""
        host = TrustedRemoteHost(
            self._target,
            self._taskdir,
            ask_on_terminal(),
            OrphanPolicy(self._settings.orphan_grace, remove=self._taskdir),
        )
        try:
            await self._connect(host)
        finally:
            self._connecting_is_over.set()
        try:
            yield host
        finally:
            await self._boundary.call(self._leave, host, label="the end of the connection")

    async def _show(self, output: Output, shown: trio.Event) -> None:
        # Draw nothing over a password prompt.
        await self._connecting_is_over.wait()
        await super()._show(output, shown)

    async def _connect(self, host: Any) -> None:
        """Connect to `host`, unless the run is stopped meanwhile.

        Raises:
            CommandFailure: no connection could be made, or the run was stopped.
        """
        why: str | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._give_up_when_stopped, nursery.cancel_scope)
            try:
                await self._boundary.call(host.connect, label="connecting", grace=1.0)
            except CannotConnect as error:
                why = str(error)
            nursery.cancel_scope.cancel("connecting is over")
        if self._stop is not None:
            raise CommandFailure(self._stop.code, self._stop.reason)
        if why is not None:
            raise CommandFailure(ExitCode.IO_ERROR, f"cannot connect to {self._target}: {why}")

    async def _give_up_when_stopped(self, connecting: trio.CancelScope) -> None:
        await self._boundary.wait_flag(self._context.cancellation_flag)
        connecting.cancel("the run is stopped")

    async def _body(self, host: object, hook_context: Any) -> None:
        try:
            agent = await RemoteAgent.start(
                host,
                self._settings.command,
                environment=hook_context.browser_launch_env or {},
                output=self._workspace.descriptor,
                patience=self._patience,
            )
        except TROUBLE as error:
            raise self._lost(error) from error
        finally:
            self._agent_decided.set()
        try:
            started = AgentStarted(self._settings.command, None, self._workspace.workdir, str(self._target))
            self._agent_runs(agent, started)
            status = await agent.wait()
            if status is None:
                raise self._lost(agent.failure)
            self._status = exit_text(status)
        finally:
            left = await agent.end(farewell=self._stop is not None)
            if left is not None:
                self._survivors = (f"on {self._target}: {left}",)

    async def _send(self, message: str) -> None:
        # The agent may announce something before we know that it runs.
        await self._agent_decided.wait()
        await super()._send(message)

    async def _save(self, hook_context: object, file: DeliverableFile) -> None:
        await run_in_trio(lambda _: self._store.save(file))

    def _path_hints(self) -> list[str]:
        return [
            f"{name} exists here, but the agent runs on {self._target}: copy it there, give an absolute path"
            for name in self._settings.command
            if not os.path.isabs(name) and os.path.isfile(name)
        ]

    def _lost(self, error: BaseException | None) -> CommandFailure:
        why = "" if error is None else f": {str(error) or type(error).__name__}"
        return CommandFailure(ExitCode.IO_ERROR, f"the connection to {self._target} was lost{why}")

    async def _leave(self, host: TrustedRemoteHost) -> None:
        try:
            await bounded(host.cleanup_taskdir(False), REMOTE_SECONDS, self._hurried_there)
        except TROUBLE as error:
            why = str(error) or "the host does not answer"
            minutes, seconds = divmod(round(self._settings.orphan_grace), 60)
            self._survivors += (
                f"could not remove {self._taskdir} on {self._target}: {why}",
                f"if the agent still runs there, its guard ends it in {minutes}:{seconds:02d} minutes and removes "
                "that directory",
            )
        with suppress(*TROUBLE):  # the connection is closed in any case
            await bounded(host.disconnect(), REMOTE_SECONDS, self._hurried_there, HURRIED_SECONDS / 2)
