"""The conclusion: the only place where the exceptions of all parts become what the caller sees.

The order of precedence, highest first:

1. `SystemExit` and `KeyboardInterrupt`, wherever they were raised. They are never swallowed.
2. The caller's own cancellation.
3. The judge's verdict, if it is a failure; or optio's cancellation, which is not a failure.
4. A failure of an actor, the setup or a hook.
5. DONE, but incomplete: unsettled items, or refused deliverables if the session is strict.
6. A failure of after_execute.

All other exceptions are kept: as notes, in `SessionFailed.others`, in the outcome.
"""

from __future__ import annotations

import trio
from outcome import Error, Outcome, Value

import actors
from optio_agents.session.events import Ended
from optio_agents.session.outcome import Ending, HostTimeout, SessionFailed, SessionOutcome
from optio_agents.session.plan import Plan
from optio_agents.session.verdict import Judge, Verdict

EXIT_REQUESTS = (SystemExit, KeyboardInterrupt)


class Conclusion:
    """Concludes one session. Use once.

    Args:
        plan: what the session ran with.
        judge: has received every fact.
    """

    def __init__(self, plan: Plan, judge: Judge) -> None:
        self._plan = plan
        self._recorder = plan.recorder
        self._judge = judge

    def conclude(
        self, failure: BaseException | None, after_failure: BaseException | None
    ) -> Outcome[SessionOutcome]:
        """How the session ended, or the exception that the caller will see.

        Args:
            failure: what was raised by the block in which the actors ran.
            after_failure: what after_execute raised.
        """
        failure, more = _unwrapped(failure)
        if isinstance((cause := _root(failure)[1]), HostTimeout):
            failure = cause  # an actor's step or the setup's: the same error
        raised = [each for each in (*self._judge.raised, failure, *more, after_failure) if each is not None]
        verdict = self._verdict(failure)
        shown = self._shown(verdict)
        if shown is None and after_failure is not None:
            message = f"after_execute callback raised: {after_failure!r}"
            verdict = Verdict(Ending.FAILED, message, after_failure)
            shown = after_failure
        request = next((each for each in raised if isinstance(each, EXIT_REQUESTS)), None)
        if request is not None and not isinstance(shown, EXIT_REQUESTS):
            if shown is None:
                verdict = Verdict(Ending.FAILED, repr(request), request)
            elif not any(each is shown for each in raised):
                raised.append(shown)
            shown = request
        others = [each for each in raised if each is not shown and each is not verdict.error]
        return self._end(verdict, shown, others, after_failure)

    def _end(
        self,
        verdict: Verdict,
        shown: BaseException | None,
        others: list[BaseException],
        after_failure: BaseException | None,
    ) -> Outcome[SessionOutcome]:
        for other in others:
            of = "after_execute callback raised" if other is after_failure else "Also raised"
            self._recorder.note(f"{of}: {other!r}")
            if shown is not None:
                shown.add_note(f"Also raised in this session: {other!r}")
        outcome = self._recorder.outcome(verdict.ending, verdict.message)
        try:
            self._recorder.emit(Ended(outcome))
        except Exception as error:
            if shown is None:
                raise
            shown.add_note(f"The observer failed as well: {error!r}")
        if shown is None:
            return Value(outcome)
        if isinstance(shown, SessionFailed):
            shown.outcome = outcome
            shown.others = tuple(others)
        return Error(shown)

    def _verdict(self, failure: BaseException | None) -> Verdict:
        verdict = self._judge.verdict
        if failure is None:
            assert verdict is not None, "a session ends by a verdict or by an exception"
            return self._weighed(verdict)
        if isinstance(failure, trio.Cancelled):
            return Verdict(Ending.CANCELLED, "cancelled by the caller", failure)
        if not isinstance(failure, Exception):
            return Verdict(Ending.FAILED, repr(failure), failure)
        if verdict is not None and (verdict.ending is Ending.CANCELLED or not self._is_good(verdict)):
            return verdict
        if verdict is None and (error := self._judge.body_error) is not None:
            # The body had already failed, and reading the rest of its log failed as well.
            return Verdict(Ending.BODY_FAILED, repr(error), error)
        if isinstance(failure, HostTimeout):
            return Verdict(Ending.FAILED, str(failure), failure)
        name, cause = _root(failure)
        return Verdict(
            Ending.FAILED, f"the session's {name} failed: {cause!r}" if name else repr(failure), failure
        )

    def _weighed(self, verdict: Verdict) -> Verdict:
        """DONE, unless an earlier announcement was not settled."""
        if verdict.ending is not Ending.DONE:
            return verdict
        recorder, options = self._recorder, self._plan.options
        if recorder.unsettled and self._judge.cancel_asked:
            return Verdict(Ending.CANCELLED, "cancelled by optio after DONE, before everything was settled")
        if recorder.unsettled:
            return Verdict(
                Ending.FAILED,
                f"DONE, but {recorder.unsettled} announced items or messages to the agent were not settled "
                f"within {options.drain_timeout:g} s",
            )
        if options.strict and (recorder.refused or recorder.refused_more):
            paths = ", ".join(sorted(recorder.refused)[:5])
            return Verdict(Ending.FAILED, f"DONE, but these deliverables were not accepted: {paths}")
        return verdict

    def _is_good(self, verdict: Verdict) -> bool:
        if verdict.error is not None:
            return False
        return verdict.ending in (Ending.DONE, Ending.CANCELLED) or (
            verdict.ending is Ending.BODY_ENDED and not self._plan.keywords
        )

    def _shown(self, verdict: Verdict) -> BaseException | None:
        """The exception that the caller sees for `verdict`; `None` for a good end."""
        if self._is_good(verdict):
            return None
        name, cause = _root(verdict.error)
        if verdict.error is not None and name is None:
            return verdict.error
        message = verdict.message or verdict.ending.value
        failed = SessionFailed(message, self._recorder.outcome(verdict.ending, verdict.message))
        failed.__cause__ = cause
        return failed


def _root(error: BaseException | None) -> tuple[str | None, BaseException | None]:
    """The name of the innermost actor that failed, and what it raised; no name if `error` is not from an actor."""
    name = None
    while isinstance(error, actors.Escalated | actors.StartFailed):
        name = error.child if isinstance(error, actors.Escalated) else error.name
        if error.cause is None:
            break
        error = error.cause
    return name, error


def _unwrapped(failure: BaseException | None) -> tuple[BaseException | None, tuple[BaseException, ...]]:
    """The failure that counts, and the others that came with it.

    If an actor raises something other than an `Exception` while its nursery is cancelled, the nursery groups both.
    """
    if isinstance(failure, actors.Escalated):
        return failure, failure.others
    if isinstance(failure, BaseExceptionGroup) and failure.subgroup(trio.Cancelled) is not None:
        leaves = _leaves(failure)
        others = [each for each in leaves if not isinstance(each, trio.Cancelled)] or leaves[:1]
        return others[0], tuple(others[1:])
    return failure, ()


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
