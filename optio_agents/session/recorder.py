"""The session's own record: what was reported, what became of each deliverable, what went wrong.

Everything that a session tells the outside passes through here once: to the ctx, to the observer, into the outcome.
"""

from __future__ import annotations

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
from optio_agents.session.outcome import DeliverableRecord, Ending, SessionOutcome, Timings

PROBLEMS_KEPT = 100
RECORDS_KEPT = 1000


class Recorder:
    """One per session; synchronous, used from the session's thread only.

    Args:
        ctx: where progress goes.
        observe: the observer of `SessionOptions.on_event`, if any.
    """

    def __init__(self, ctx: Any, observe: Callable[[SessionEvent], None] | None) -> None:
        self._report_progress = ctx.report_progress
        self._observe = observe
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
        """Messages to the agent that were handed in, and have neither been delivered nor given up."""
        self.abandoned: list[str] = []
        self._timings: dict[str, float] = {}
        self.refused: set[str] = set()
        """Paths whose last delivery was not accepted, at most a thousand."""
        self.refused_more = False
        """There were more, of which only this fact is kept."""

    @property
    def is_observed(self) -> bool:
        """Whether anybody wants events."""
        return self._observe is not None

    def emit(self, event: SessionEvent) -> None:
        """Tell the observer.

        Raises:
            Exception: whatever the observer raises, once. It is not asked again: it has failed the session, which still
                has to be ended in order.
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
            Exception: whatever the ctx raises; without a ctx that takes progress the session cannot go on.
        """
        self._report_progress(percent, message)
        if self._observe is not None:
            self.emit(ProgressReported(percent, message))

    def problem(self, text: str) -> None:
        """Something went wrong that does not end the session: into the outcome, and on to the ctx."""
        text = self.keep(text)
        self.emit(ProblemReported(text))
        self.progress(None, text)

    def note(self, text: str) -> None:
        """Like `problem`, where nothing may be raised: that the ctx or the observer fails is noted too."""
        text = self.keep(text)
        tell: tuple[Callable[[], None], ...] = (
            partial(self.emit, ProblemReported(text)),
            partial(self.progress, None, text),
        )
        for each in tell:
            try:
                each()
            except Exception as error:  # noqa: BLE001 - the session is ending; the outcome is what is left to tell
                self.keep(f"That could not be reported: {error!r}")

    def keep(self, text: str) -> str:
        """Something went wrong that was reported otherwise: into the outcome only. Returns the text as it is shown."""
        text = display_text(text)
        self._problem_count += 1
        if len(self._problems) < PROBLEMS_KEPT:
            self._problems.append(text)
        return text

    def settle(self, record: DeliverableRecord) -> None:
        """One DELIVERABLE line has been dealt with."""
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
        """Something was said to the agent, or could not be."""
        self.unsaid -= 1
        self.emit(MessageSent(text, delivered))

    def time(self, **seconds: float) -> None:
        """Note how long a phase took."""
        self._timings.update(seconds)

    def outcome(self, ending: Ending, message: str | None) -> SessionOutcome:
        """The outcome, as things stand now."""
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
