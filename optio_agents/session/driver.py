"""One session from its first step to its outcome: set-up, the crew, the verdict, the drain, the teardown.

This is the session's edge: the one place where exceptions of all its parts meet and become what the caller sees.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

import actors
from optio_agents.bridge.border import Abandoned
from optio_agents.session.crew import Crew
from optio_agents.session.events import Ended
from optio_agents.session.outcome import Ending, SessionFailed, SessionOutcome
from optio_agents.session.plan import Plan
from optio_agents.session.resolver import FACTS_CAPACITY, resolve
from optio_agents.session.verdict import CancelAsked, Fact, Judge, LogEnded, Phase, Verdict
from optio_agents.session.watch import is_cancelled, watch

NO_RESTARTS = actors.Intensity(restarts=0, seconds=1.0)
"""An actor of a session holds work in progress: its failure ends the session instead of being papered over."""


class Session:
    """Runs one session. Use once.

    Args:
        plan: what it runs with.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._journal = plan.journal
        self._judge = Judge()
        self._decided = trio.Event()
        self._stage = trio.CancelScope()
        """Set-up and run: left when the verdict leaves nothing to drain."""
        self._draining = trio.CancelScope()
        self._crew: Crew | None = None
        self._begun = False

    async def run(self) -> SessionOutcome:
        """Run it.

        Raises:
            SessionFailed: ERROR, the body's end before DONE, or trouble of ours.
            BaseException: what the caller's own code raised, the same object.
        """
        self._plan.border.on_abandoned = self._note_abandoned
        self._plan.border.on_late_failure = self._note_late_failure
        if is_cancelled(self._plan.ctx):
            self._judge.hear(CancelAsked())
            return self._conclude(None, None)
        failure: BaseException | None = None
        try:
            await self._run_actors()
        except BaseException as error:  # noqa: BLE001 - judged, and raised again, in _conclude
            failure = error
        after_failure = await self._after_execute() if self._begun else None
        return self._conclude(failure, after_failure)

    async def _run_actors(self) -> None:
        plan, started = self._plan, trio.current_time()
        grace = plan.options.cancel_grace
        async with actors.open_supervisor(
            name="session", intensity=NO_RESTARTS, stop_timeout=plan.options.drain_timeout
        ) as supervisor:
            resolver = await supervisor.start(
                actors.actor(resolve, self._judge, self._react), name="resolver", capacity=FACTS_CAPACITY
            )
            watcher = await supervisor.start(
                actors.actor(watch, plan.border, plan.ctx, resolver.try_tell), name="watch"
            )
            self._crew = Crew(plan, supervisor, resolver.try_tell)
            with self._stage:
                await self._set_up()
                ready = trio.current_time()
                self._journal.time(setup=ready - started)
                await self._crew.start()
                await self._decided.wait()
                self._journal.time(run=trio.current_time() - ready)
            await self._drain(self._crew)
            with trio.CancelScope(deadline=trio.current_time() + 2 * grace + 1.0, shield=True):
                await self._crew.end()
            watcher.cancel("the session ends")

    async def _set_up(self) -> None:
        plan = self._plan
        self._begun = True
        await plan.session_host.setup_workdir()
        await self._call(plan.hooks.prepare, plan.host, plan.hook_context, label="prepare")
        await plan.session_host.prepare_channel()
        plan.hook_context.browser_launch_env = await plan.protocol.prepare_browser_shims(plan.session_host)
        await self._call(plan.hooks.before_execute, plan.hook_context, label="before_execute")

    async def _call(self, function: Callable[..., Awaitable[Any]] | None, *args: Any, label: str) -> None:
        if function is not None:
            await self._plan.border.call(function, *args, label=label, grace=self._plan.options.cancel_grace)

    def _react(self, fact: Fact) -> None:
        """Act upon where the judge stands after `fact` (called by the resolver)."""
        judge = self._judge
        if judge.phase is Phase.READING_REST:
            if self._plan.keywords and self._crew is not None:
                self._crew.cursor.finish()
            else:
                judge.hear(LogEnded())
        if judge.verdict is not None:
            self._decided.set()
            if not judge.verdict.drains:
                self._stage.cancel(reason=judge.verdict.message)
            if isinstance(fact, CancelAsked):
                self._draining.cancel(reason="optio asked for the end")

    async def _drain(self, crew: Crew) -> None:
        verdict = self._judge.verdict
        assert verdict is not None
        if not verdict.drains:
            return
        started = trio.current_time()
        with self._draining:
            await crew.drain()
        self._journal.time(drain=trio.current_time() - started)

    async def _after_execute(self) -> BaseException | None:
        """Run the hook, shielded and under its deadline; return what it raised."""
        hook, options = self._plan.hooks.after_execute, self._plan.options
        if hook is None:
            return None
        started = trio.current_time()
        try:
            with (
                trio.CancelScope(shield=True),
                trio.fail_after(options.after_execute_timeout),
            ):
                await self._call(hook, self._plan.hook_context, label="after_execute")
        except trio.TooSlowError:
            return SessionFailed(
                f"after_execute did not end within {options.after_execute_timeout:g} s",
                self._journal.outcome(Ending.FAILED, None),
            )
        except BaseException as error:  # noqa: BLE001 - judged, and raised again, in _conclude
            return error
        finally:
            self._journal.time(teardown=trio.current_time() - started)
        return None

    def _conclude(self, failure: BaseException | None, after_failure: BaseException | None) -> SessionOutcome:
        """Decide what the caller sees, keep everything else beside it, and say how it ended."""
        if self._crew is not None:
            self._journal.unsettled = self._crew.unsettled
        verdict = self._final_verdict(failure)
        others = [*self._judge.others]
        if failure is not None and failure is not verdict.error:
            others.append(failure)
        primary = self._primary(verdict)
        if after_failure is not None:
            if primary is None or _outranks(after_failure, primary):
                if primary is not None:
                    others.append(primary)
                primary = after_failure
                verdict = Verdict(Ending.FAILED, f"after_execute failed: {after_failure!r}", after_failure)
            else:
                others.append(after_failure)
        for other in others:
            self._journal.note(f"Also raised: {other!r}")
            if primary is not None:
                primary.add_note(f"Also raised in this session: {other!r}")
        outcome = self._journal.outcome(verdict.ending, verdict.message)
        self._journal.emit(Ended(outcome))
        if primary is None:
            return outcome
        if isinstance(primary, SessionFailed):
            primary.outcome = outcome
            primary.others = tuple(others)
        raise primary

    def _final_verdict(self, failure: BaseException | None) -> Verdict:
        verdict = self._judge.verdict
        if isinstance(failure, trio.Cancelled):
            return Verdict(Ending.CANCELLED, "cancelled by the caller", failure)
        if failure is not None and not isinstance(failure, Exception):
            return Verdict(Ending.FAILED, repr(failure), failure)
        if verdict is not None and verdict.ending is Ending.CANCELLED:
            return verdict
        if isinstance(failure, actors.Escalated):
            return Verdict(Ending.FAILED, f"the session's {failure.child} failed: {failure.cause!r}", failure)
        if failure is not None:
            return Verdict(Ending.FAILED, repr(failure), failure)
        assert verdict is not None, "a session ends by a verdict or by an exception"
        return self._strictly(verdict)

    def _strictly(self, verdict: Verdict) -> Verdict:
        if verdict.ending is not Ending.DONE:
            return verdict
        if self._judge.cancel_asked and self._journal.unsettled:
            return Verdict(Ending.CANCELLED, "cancelled by optio after DONE, before everything was settled")
        if self._journal.unsettled:
            return Verdict(
                Ending.FAILED,
                f"DONE, but {self._journal.unsettled} announced things were not settled within "
                f"{self._plan.options.drain_timeout:g} s",
            )
        if self._plan.options.strict and self._journal.refused:
            paths = ", ".join(sorted(self._journal.refused)[:5])
            return Verdict(Ending.FAILED, f"DONE, but these deliverables were not accepted: {paths}")
        return verdict

    def _primary(self, verdict: Verdict) -> BaseException | None:
        """The exception that `verdict` means to the caller; `None` for a good end."""
        if isinstance(verdict.error, actors.Escalated):
            failed = self._failed(verdict)
            failed.__cause__ = verdict.error.cause
            return failed
        if verdict.error is not None:
            return verdict.error
        if verdict.ending in (Ending.DONE, Ending.CANCELLED):
            return None
        if verdict.ending is Ending.BODY_ENDED and not self._plan.keywords:
            return None
        return self._failed(verdict)

    def _failed(self, verdict: Verdict) -> SessionFailed:
        message = verdict.message or verdict.ending.value
        return SessionFailed(message, self._journal.outcome(verdict.ending, verdict.message))

    def _note_abandoned(self, abandoned: Abandoned) -> None:
        self._journal.abandoned.append(f"{abandoned.label} at {abandoned.where}")
        self._journal.note(str(abandoned))

    def _note_late_failure(self, label: str, error: BaseException) -> None:
        self._journal.note(f"{label} raised after it was left behind: {error!r}")


def _outranks(error: BaseException, other: BaseException) -> bool:
    """`SystemExit` and `KeyboardInterrupt` come before anything else."""
    return isinstance(error, (SystemExit, KeyboardInterrupt)) and not isinstance(
        other, (SystemExit, KeyboardInterrupt)
    )
