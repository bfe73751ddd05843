"""One session from its first step to its outcome: setup, topology, verdict, drain, teardown.

This module only runs the steps in order. `verdict.py` decides what ends a session, and `conclusion.py` what the caller
sees.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

import actors
from optio_agents.bridge.boundary import Abandoned
from optio_agents.hosts.base import LogLost
from optio_agents.session.cancel_watch import watch
from optio_agents.session.conclusion import Conclusion
from optio_agents.session.host_step import host_step
from optio_agents.session.last_hook import LastHook
from optio_agents.session.optio_context import is_cancelled
from optio_agents.session.outcome import SessionOutcome
from optio_agents.session.plan import Plan
from optio_agents.session.recorder import Recorder
from optio_agents.session.resolver import Resolver, resolve
from optio_agents.session.topology import Topology
from optio_agents.session.verdict import CancelAsked, Judge

NO_RESTARTS = actors.Intensity(restarts=0, seconds=1.0)
"""No restarts: an actor of a session has work in progress, so its failure ends the session."""


class SessionDriver:
    """Runs one session. Use once.

    Args:
        plan: what it runs with.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._recorder = plan.recorder
        self._judge = Judge()
        self._resolver = Resolver(self._judge)
        self._topology: Topology | None = None
        self._begun = False

    async def run(self) -> SessionOutcome:
        """Run it.

        Raises:
            SessionFailed: ERROR, the body's end before DONE, or a failure of the session itself.
            BaseException: what the caller's own code raised, the same object.
        """
        # Abandoned code keeps both alive, so they must not refer to the session.
        self._plan.boundary.on_abandoned = partial(_note_abandoned, self._recorder)
        self._plan.boundary.on_late_failure = partial(_note_late_failure, self._recorder)
        failure: BaseException | None = None
        try:
            if is_cancelled(self._plan.ctx):
                self._judge.hear(CancelAsked())
            else:
                await self._run_actors()
        except BaseException as error:  # noqa: BLE001 - judged and raised again by the conclusion
            failure = error
        if self._topology is not None:
            self._recorder.unsettled = self._topology.unsettled
        after_failure = await self._after_execute() if self._begun else None
        concluded = Conclusion(self._plan, self._judge).conclude(failure, after_failure)
        # The exception refers to this frame through its traceback. If this frame referred to the exception or to self,
        # that cycle would keep everything that the user's code held alive until the next garbage collection.
        self._judge.forget()
        self._recorder.forget()
        self._topology = None
        try:
            return concluded.unwrap()
        finally:
            del concluded, failure, after_failure

    async def _run_actors(self) -> None:
        plan, started = self._plan, trio.current_time()
        self._recorder.phase("setup")
        # The resolver starts first and ends last, so that it receives the facts from the ends of the others.
        async with actors.open_supervisor(
            name="session",
            intensity=NO_RESTARTS,
            stop_timeout=plan.options.drain_timeout,
            stop_in_order=True,
            on_failure=self._note_lost_log,
        ) as supervisor:
            resolver = await supervisor.start(
                actors.inline(resolve, self._resolver), name="resolver", restart=actors.TRANSIENT
            )
            watcher = supervisor.start_soon(
                actors.actor(watch, plan.boundary, plan.ctx, resolver.try_tell),
                name="watch",
                restart=actors.TRANSIENT,
            )
            self._topology = Topology(plan, supervisor, resolver.try_tell, self._resolver.received)
            if plan.keywords:
                self._resolver.finish_log = self._topology.cursor.finish
            try:
                with self._resolver.stage:
                    await self._set_up()
                    ready = trio.current_time()
                    self._recorder.time(setup=ready - started)
                    self._recorder.phase("run")
                    try:
                        await self._topology.start()
                        await self._resolver.decided.wait()
                    finally:
                        self._recorder.time(run=trio.current_time() - ready)
                await self._drain(self._topology)
            finally:
                watcher.cancel("the session ends")
                self._topology.end()

    async def _set_up(self) -> None:
        plan = self._plan
        await trio.lowlevel.checkpoint_if_cancelled()
        self._begun = True
        limit = plan.options.host_timeout
        with host_step("make the workdir", limit):
            await plan.session_host.setup_workdir()
        await self._call(plan.hooks.prepare, plan.host, plan.hook_context, label="prepare")
        with host_step("prepare optio.log and deliverables/", limit):
            await plan.session_host.prepare_channel()
        with host_step("install the browser launchers", limit):
            plan.hook_context.browser_launch_env = await plan.protocol.prepare_browser_shims(
                plan.session_host
            )
        await self._call(plan.hooks.before_execute, plan.hook_context, label="before_execute")

    async def _call(self, function: Callable[..., Awaitable[Any]] | None, *args: Any, label: str) -> None:
        if function is not None:
            await self._plan.boundary.call(
                function, *args, label=label, grace=self._plan.options.cancel_grace
            )

    async def _drain(self, topology: Topology) -> None:
        verdict = self._judge.verdict
        assert verdict is not None
        if not verdict.drains:
            return
        started = trio.current_time()
        self._recorder.phase("drain")
        topology.stop_reading()
        if topology.is_working:
            draining, timeout = self._resolver.draining, self._plan.options.drain_timeout

            def extend() -> None:
                draining.deadline = max(draining.deadline, trio.current_time() + timeout)

            draining.deadline = started + timeout
            with draining:
                await topology.drain(extend)
        self._recorder.time(drain=trio.current_time() - started)

    async def _after_execute(self) -> BaseException | None:
        """Run the hook; return what it raised."""
        hook = self._plan.hooks.after_execute
        if hook is None:
            return None
        started = trio.current_time()
        self._recorder.phase("teardown")
        try:
            return await LastHook(self._plan, hook).run()
        finally:
            self._recorder.time(teardown=trio.current_time() - started)

    def _note_lost_log(self, ref: actors.Ref[Any], exit: actors.Exit) -> None:
        """An actor has failed. Only a lost log is noted here; every other failure ends the session and is reported."""
        if isinstance(exit.cause, LogLost):
            self._recorder.note(f"The log could not be read: {exit.cause!r}", actor=ref.name)


def _note_abandoned(recorder: Recorder, abandoned: Abandoned) -> None:
    recorder.abandoned.append(f"{abandoned.label} at {abandoned.where}")
    recorder.note(str(abandoned), actor=abandoned.label)


def _note_late_failure(recorder: Recorder, label: str, error: BaseException) -> None:
    recorder.note(f"{label} raised after it was abandoned: {error!r}", actor=label, error=error)
