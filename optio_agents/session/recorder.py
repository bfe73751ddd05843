"""The session's own record: what was reported, what became of each deliverable, what went wrong.

Everything that a session tells the outside passes through here once: to the ctx, to the observer, into the outcome.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from optio_agents.protocol.display import display_text
from optio_agents.session.events import (
    DeliverableSettled,
    MessageSent,
    ProblemReported,
    ProgressReported,
    SessionEvent,
)
from optio_agents.session.instrumentation import Phase, SessionProbe
from optio_agents.session.optio_context import accepts_level, process_id
from optio_agents.session.outcome import DeliverableRecord, Ending, SessionOutcome, Timings
from optio_agents.session.session_log import SessionLog

PROBLEMS_KEPT = 100
RECORDS_KEPT = 1000


class Recorder:
    """One per session; synchronous, used from the session's thread only.

    Args:
        ctx: where progress goes.
        observe: the observer of `SessionOptions.on_event`, if any.
        plain: makes both callable from Trio (see `Boundary.plain`).
        probe: telemetry of this session, if any is installed.
    """

    def __init__(
        self,
        ctx: Any,
        observe: Callable[[SessionEvent], None] | None,
        plain: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function,
        probe: SessionProbe | None = None,
    ) -> None:
        self._report_progress = plain(ctx.report_progress)
        self._takes_level = accepts_level(ctx)
        self._log = SessionLog(process_id(ctx))
        self._observe = None if observe is None else plain(observe)
        self._probe = probe
        if probe is not None:
            self._observe = _observe_both(probe.event, self._observe)
        self._first_records: list[DeliverableRecord] = []
        self._last_records: deque[DeliverableRecord] = deque(maxlen=RECORDS_KEPT)
        self._problems: list[str] = []
        self._problem_count = 0
        self.deliverable_count = 0
        self.lines = 0
        self.cut_lines = 0
        self.lost_bytes = 0
        self.unsettled = 0
        self.unsaid = 0
        """Accepted messages to the agent that have neither been delivered nor given up."""
        self.on_sent: Callable[[], None] | None = None
        """Called after each message that was delivered or given up."""
        self.abandoned: list[str] = []
        self._timings: dict[str, float] = {}
        self.refused: set[str] = set()
        """Paths whose last delivery was not accepted, at most a thousand."""
        self.refused_more = False
        """There were more, of which only this fact is kept."""

    @property
    def is_observed(self) -> bool:
        """Whether there is an observer."""
        return self._observe is not None

    def emit(self, event: SessionEvent) -> None:
        """Tell the observer.

        Raises:
            Exception: what the observer raises, once. It is not called again, because its failure ends the session, and
                that end must complete.
        """
        if self._observe is not None:
            try:
                self._observe(event)
            except BaseException:
                self._observe = None
                raise

    def progress(self, percent: float | None, message: str) -> None:
        """Report to the ctx.

        Raises:
            Exception: what the ctx raises. The session cannot continue without a ctx that accepts progress.
        """
        self._report_progress(percent, message)
        if self._observe is not None:
            self.emit(ProgressReported(percent, message))

    def problem(self, text: str, *, actor: str | None = None, error: BaseException | None = None) -> None:
        """Report a problem that does not end the session: to the outcome, the log and the ctx.

        Args:
            text: what happened.
            actor: the affected part of the session.
            error: the exception, if the caller's code raised it: logged with its traceback.
        """
        text = self.keep(text, actor=actor, error=error)
        self.emit(ProblemReported(text))
        self._warn(text)

    def note(self, text: str, *, actor: str | None = None, error: BaseException | None = None) -> None:
        """Like `problem`, but never raises: a failure of the ctx or the observer is noted as well."""
        text = self.keep(text, actor=actor, error=error)
        tell: tuple[Callable[[], None], ...] = (
            partial(self.emit, ProblemReported(text)),
            partial(self._warn, text),
        )
        for each in tell:
            try:
                each()
            except Exception as error:  # noqa: BLE001 - the session is ending; only the outcome is left to report it
                self.keep(f"That could not be reported: {error!r}")

    def log(self, level: int, text: str, *, actor: str | None = None) -> None:
        """Log something that concerns only those who operate the worker."""
        self._log.write(level, display_text(text), actor=actor)

    def keep(self, text: str, *, actor: str | None = None, error: BaseException | None = None) -> str:
        """Record a problem that is reported elsewhere: in the outcome and the log only.

        Returns the text as shown.
        """
        text = display_text(text)
        self._log.write(logging.WARNING if error is None else logging.ERROR, text, actor=actor, error=error)
        if error is not None:
            _release_locals(error)
        self._problem_count += 1
        if len(self._problems) < PROBLEMS_KEPT:
            self._problems.append(text)
        return text

    def _warn(self, text: str) -> None:
        """Report to optio's log. The first ones are warnings, because optio keeps every warning."""
        if self._takes_level and self._problem_count <= PROBLEMS_KEPT:
            self._report_progress(None, text, level="warning")
            if self._observe is not None:
                self.emit(ProgressReported(None, text))
        else:
            self.progress(None, text)

    def settle(self, record: DeliverableRecord) -> None:
        """Record the result of one DELIVERABLE line."""
        self.deliverable_count += 1
        if len(self._first_records) < RECORDS_KEPT:
            self._first_records.append(record)
        else:
            self._last_records.append(record)
        if record.accepted:
            self.refused.discard(record.path)
        elif len(self.refused) < RECORDS_KEPT:
            self.refused.add(record.path)
        elif record.path not in self.refused:
            self.refused_more = True
        self.emit(DeliverableSettled(record))

    def sent(self, text: str, delivered: bool) -> None:
        """Record a message that was sent to the agent, or could not be."""
        self.unsaid -= 1
        if self.on_sent is not None:
            self.on_sent()
        self.emit(MessageSent(text, delivered))

    def phase(self, name: Phase) -> None:
        """Note that a phase begins."""
        if self._probe is not None:
            self._probe.phase(name)

    def time(self, **seconds: float) -> None:
        """Note how long a phase took."""
        self._timings.update(seconds)

    def forget(self) -> None:
        """Release the records: the outcome has them, with the exceptions of callbacks."""
        self._first_records.clear()
        self._last_records.clear()

    def outcome(self, ending: Ending, message: str | None) -> SessionOutcome:
        """The outcome at this moment."""
        problems = tuple(self._problems)
        if self._problem_count > len(problems):
            problems += (f"({self._problem_count - len(problems)} more)",)
        return SessionOutcome(
            ending=ending,
            message=message,
            deliverables=(*self._first_records, *self._last_records),
            deliverable_count=self.deliverable_count,
            problems=problems,
            abandoned=tuple(self.abandoned),
            lines=self.lines,
            cut_lines=self.cut_lines,
            lost_bytes=self.lost_bytes,
            unsettled=self.unsettled,
            timings=Timings(**self._timings),
        )


def _observe_both(
    first: Callable[[SessionEvent], None], second: Callable[[SessionEvent], None] | None
) -> Callable[[SessionEvent], None]:
    if second is None:
        return first

    def observe(event: SessionEvent) -> None:
        first(event)
        second(event)

    return observe


def _release_locals(error: BaseException) -> None:
    """Clear the local variables of the traceback of `error`, which is kept: they may contain a whole deliverable."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        pending += (each.__cause__, each.__context__)
