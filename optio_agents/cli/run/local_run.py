"""The Trio program of `optio-agents run`: one session, its agent process, its output, and what ends it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import trio

from optio_agents.cli.check import slips_of
from optio_agents.cli.durations import duration_text
from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.run.agent_input import AgentNotListening
from optio_agents.cli.run.deliverable_store import DeliverableStore
from optio_agents.cli.run.exit_decision import Stop, judge
from optio_agents.cli.run.local_agent import LocalAgent, Patience
from optio_agents.cli.run.log_capture import shown_diagnostics
from optio_agents.cli.run.output.events import AgentStarted, FileReplaced, RunEnded, RunEvent, RunInterrupted
from optio_agents.cli.run.output.plain_text import failure_lines, headline
from optio_agents.cli.run.output.writers import Output, choose_output
from optio_agents.cli.run.output_limit import free_the_middle
from optio_agents.cli.run.settings import RunSettings, Show, relative_files
from optio_agents.cli.run.terminal_context import TerminalContext
from optio_agents.cli.run.workspace import Workspace
from optio_agents.cli.stderr import write_stderr
from optio_agents.hosts.background import running_in_background
from optio_agents.hosts.local import LocalHost
from optio_agents.hosts.processes.adoption import become_subreaper, reap_adopted
from optio_agents.hosts.processes.exit_status import exit_text
from optio_agents.protocol.paths import LOG_NAME
from optio_agents.protocol.protocol import get_protocol
from optio_agents.protocol.session import run_log_protocol_session
from optio_agents.session.deliverable import DeliverableFile
from optio_agents.session.events import MessageSent, ProblemReported, ProgressReported, SessionEvent
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import SessionFailed, SessionOutcome

GRACE_SLACK = 2.0
"""Seconds that the body gets on top of the longest ending of its process."""


STDIN_SECONDS = 4.0
STDIN_LOOKS = 2
"""An agent that waits for input at so many looks in a row, so many seconds apart, gets the hint."""

STDIN_HINT = (
    "the agent waits for input on its stdin, where only the harness writes: --stdin null gives it an empty input, "
    "--stdin inherit gives it yours"
)


class RunningAgent(Protocol):
    """What a run needs of its agent outside the body that owns it."""

    async def send(self, message: str) -> None:
        """Put one line on its input. Raises `AgentNotListening`."""

    def hurry(self) -> None:
        """Make its end quick."""


Start: TypeAlias = Callable[[RunSettings, Workspace, DeliverableStore], RunEnded]
"""Enters an event loop, does the run in it, and leaves it again."""


def run_here(settings: RunSettings, workspace: Workspace, store: DeliverableStore) -> RunEnded:
    """The run of an agent on this machine."""

    async def main() -> RunEnded:
        return await LocalRun(settings, workspace, store, TerminalContext(trio.Event())).run()

    become_subreaper()
    return trio.run(main)


def run_agent(settings: RunSettings, start: Start = run_here) -> int:
    """Run the agent, show its events, save its deliverables; return the exit code.

    Args:
        settings: the checked settings.
        start: makes the run.

    Raises:
        CommandFailure: the run could not begin.
    """
    workspace = Workspace(settings)
    ended: RunEnded | None = None
    try:
        store = DeliverableStore(settings.deliverables, overwrite_hidden=settings.overwrite_hidden)
        try:
            ended = start(settings, workspace, store)
        finally:
            store.close()
    except CommandFailure:
        workspace.evidence.discard()
        raise
    finally:
        left = workspace.close(keep_output=ended is not None and ended.output is not None)
    if left is not None:
        write_stderr(f"optio-agents: could not remove {left}")
    _report_failure(ended, settings)
    return int(ended.code)


def _report_failure(ended: RunEnded, settings: RunSettings) -> None:
    """Print on stderr what the output on stdout has not shown. After a success that is nothing."""
    lines = [] if settings.show is Show.JSON else failure_lines(ended)
    if ended.code is not ExitCode.DONE and not (settings.show is Show.AUTO and sys.stdout.isatty()):
        lines.insert(0, f"optio-agents: {headline(ended)}")
    write_stderr(*lines)


class LocalRun:
    """One run, from the first signal handler to the last line of output, within `run`.

    The first signal stops the session, which ends the agent in order. A second one makes that quick. A signal while
    only output remains to be written drops that output.
    """

    def __init__(
        self, settings: RunSettings, workspace: Workspace, store: DeliverableStore, context: TerminalContext
    ) -> None:
        self._settings = settings
        self._workspace = workspace
        self._store = store
        self._patience = Patience()
        self._began = trio.current_time()
        self._context = context
        self._output = self._choose_output()
        store.on_replaced = lambda path: self._show_event(FileReplaced(path))
        self._output_scope = trio.CancelScope()
        self._session_over = False
        self._agent: RunningAgent | None = None
        self._status: str | None = None
        self._stop: Stop | None = None
        self._hurried = False
        self._survivors: tuple[str, ...] = ()
        self._problem: str | None = None
        """The problem that was shown last."""
        self._early: list[RunEvent] = []
        """What the log held before we knew that the agent had started: it is shown after that."""

    def _show_event(self, event: RunEvent) -> None:
        self._workspace.evidence.note(event)
        self._output.show(event)

    def _choose_output(self) -> Output:
        return choose_output(self._settings, self._send_typed)

    async def run(self) -> RunEnded:
        """Run everything."""
        shown = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals)
            nursery.start_soon(self._show, self._output, shown)
            nursery.start_soon(reap_adopted)
            if self._workspace.bounded:
                directory = str(self._workspace.output.parent)
                nursery.start_soon(free_the_middle, self._workspace.descriptor, directory)
            if self._settings.timeout is not None:
                nursery.start_soon(self._watch_clock, self._settings.timeout)
            with shown_diagnostics(self._observe):
                ended = await self._session()
            self._session_over = True
            self._show_event(ended)
            await shown.wait()
            nursery.cancel_scope.cancel("the run is over")
        return ended

    def stop(self, stop: Stop) -> None:
        """End the session for the given reason. Only the first reason counts."""
        if self._stop is None and not self._session_over:
            self._stop = stop
            self._show_event(RunInterrupted(stop.reason))
            self._context.cancellation_flag.set()

    def hurry(self) -> None:
        """Kill the agent instead of waiting for it. If it has ended already, drop the remaining output."""
        self._hurried = True
        if self._agent is not None:
            self._agent.hurry()
        if self._session_over:
            self._output_scope.cancel("hurried")

    async def _watch_signals(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        # Under nohup, the end of the terminal must not end us.
        hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, *hangup)
        with trio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            async for number in signals:
                again = self._stop is not None or self._session_over
                self.stop(Stop(ExitCode.INTERRUPTED, signal.Signals(number).name))
                if again or number == signal.SIGQUIT:
                    self.hurry()

    async def _watch_clock(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.stop(Stop(ExitCode.TIMEOUT, f"not done after {duration_text(seconds)}"))

    async def _show(self, output: Output, shown: trio.Event) -> None:
        try:
            with self._output_scope:
                await output.run()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                # In a pipeline, Ctrl-C also ends our reader. The agent is being ended already then.
                self.stop(Stop(ExitCode.INTERRUPTED, f"no program reads our output: {error.strerror}"))
            else:
                self.stop(Stop(ExitCode.IO_ERROR, f"cannot write our output: {error.strerror}"))
        finally:
            shown.set()

    def _observe(self, event: SessionEvent) -> None:
        if isinstance(event, ProblemReported):
            self._problem = event.text
        elif self._problem is not None and event == ProgressReported(None, self._problem):
            self._problem = None
            return  # the same problem once more, as progress for optio
        if self._agent is None:
            self._early.append(event)
        else:
            self._show_event(event)

    def _show_early(self) -> None:
        for event in self._early:
            self._show_event(event)
        self._early.clear()

    async def _session(self) -> RunEnded:
        cause: BaseException | None = None
        try:
            outcome = await self._outcome()
        except SessionFailed as failed:
            outcome, cause = failed.outcome, failed.__cause__
        except CommandFailure as failure:
            return self._ended(Stop(failure.code, failure.message), None)
        except OSError as error:
            return self._ended(Stop(ExitCode.IO_ERROR, f"the workdir cannot be used: {error}"), None)
        except Exception as error:  # noqa: BLE001 - any exception here is our bug; it is shown in full at the end
            trace = "".join(traceback.format_exception(error))
            return self._ended(Stop(ExitCode.BUG, f"{type(error).__name__}: {error}"), None, trace)
        verdict = judge(
            outcome, status=self._status, stop=self._stop, unsaved=self._store.unsaved, cause=cause
        )
        return self._ended(verdict, outcome)

    async def _outcome(self) -> SessionOutcome:
        """Run the session on its host."""
        host = LocalHost.within(str(self._workspace.workdir), fresh=self._workspace.temporary)
        return await self._session_on(host, self._patience.end.total + GRACE_SLACK)

    async def _session_on(self, host: object, grace: float) -> SessionOutcome:
        """Awaited in the event loop of `host`. `grace`: seconds that the body gets to end its agent."""
        features = self._settings.features
        return await run_log_protocol_session(
            host,
            self._context,
            body=self._body,
            on_deliverable_file=self._save,
            on_caller_message=self._hear if features.caller_messages else None,
            protocol=get_protocol(
                browser=features.browser,
                client_messages=features.client_messages,
                caller_messages=features.caller_messages,
            ),
            agent_sender=self._send,
            options=SessionOptions(strict=self._settings.strict, cancel_grace=grace, on_event=self._observe),
        )

    def _ended(self, verdict: Stop, outcome: SessionOutcome | None, trace: str = "") -> RunEnded:
        self._show_early()
        failed = verdict.code is not ExitCode.DONE
        hints = [*self._survivors]
        log = self._keep_log()
        if verdict.code is ExitCode.ENDED_EARLY:
            hints += self._path_hints()
        if failed and log is not None:
            hints += slips_of(log, self._settings.features)
        return RunEnded(
            code=verdict.code,
            reason=verdict.reason,
            elapsed=trio.current_time() - self._began,
            outcome=outcome,
            saved=self._store.saves,
            store=self._store.root,
            unsaved=dict(self._store.unsaved),
            tail=self._workspace.tail() if failed else (),
            output=self._workspace.output if failed and self._workspace.has_output else None,
            log=log if failed else None,
            run_id=self._workspace.evidence.id,
            hints=tuple(hints),
            trace=trace,
        )

    def _keep_log(self) -> Path | None:
        """Record the log, unless it is on another host; return the path of the copy."""
        if self._settings.ssh is not None:
            return None
        return self._workspace.evidence.keep_log(self._workspace.workdir / LOG_NAME)

    def _path_hints(self) -> list[str]:
        return [
            f"{name} exists here, but the agent runs in {self._workspace.workdir}: give an absolute path"
            for name in relative_files(self._settings.command, self._settings.workdir)
        ]

    async def _body(self, host: object, hook_context: Any) -> None:
        """Start the agent, wait for it, and end it with everything that it started."""
        environment: Mapping[str, str] = hook_context.browser_launch_env or {}
        agent = await LocalAgent.start(
            self._settings.command,
            workdir=self._workspace.workdir,
            environment={**os.environ, **environment},
            output=self._workspace.descriptor,
            stdin=self._settings.stdin,
            patience=self._patience,
        )
        try:
            self._agent_runs(agent, AgentStarted(self._settings.command, agent.pid, self._workspace.workdir))
            async with running_in_background(lambda: self._watch_stdin(agent)):
                self._status = exit_text(await agent.wait())
        finally:
            end = await agent.end(farewell=self._stop is not None)
            self._survivors = tuple(
                f"still running: {entry.name} (pid {entry.pid})" for entry in end.survivors
            )

    async def _watch_stdin(self, agent: LocalAgent) -> None:
        """Show a hint, once, when the agent waits for input that does not come."""
        for _ in range(STDIN_LOOKS):
            await trio.sleep(STDIN_SECONDS)
            if not await trio.to_thread.run_sync(agent.waits_for_input, abandon_on_cancel=True):
                return
        self._show_event(ProblemReported(STDIN_HINT))

    def _agent_runs(self, agent: RunningAgent, started: AgentStarted) -> None:
        self._agent = agent
        if self._hurried:
            agent.hurry()
        self._show_event(started)
        self._show_early()

    async def _send(self, message: str) -> None:
        if self._agent is None:
            raise AgentNotListening("it has not been started yet")
        await self._agent.send(message)

    async def _send_typed(self, line: str) -> None:
        """Send a line that was typed at the live display to the agent, unchanged."""
        try:
            await self._send(line)
        except AgentNotListening:
            self._show_event(MessageSent(line, delivered=False))
        else:
            self._show_event(MessageSent(line, delivered=True))

    async def _save(self, hook_context: object, file: DeliverableFile) -> None:
        await self._store.save(file)

    async def _hear(self, hook_context: object, keyword: str, data: object) -> None:
        """Do nothing: the observer shows it, and no program answers it."""
