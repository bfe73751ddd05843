"""Traces and metrics of sessions and conversations with OpenTelemetry.

    from optio_agents.telemetry import instrument_sessions

    instrument_sessions()      # once per process; the application configures the SDK

Each session is a trace: the span `session`, its phases (`setup`, `run`, `drain`, `teardown`), and within them a span
for each callback (`body`, `deliverable`, ...). The parent of `session` is the span in which the session was awaited. A
callback runs with its span as the current one, so its own spans belong to it. A session's log records are written
inside its span. Each turn of a conversation is a span `turn`.

Metrics (attributes in parentheses):

    optio_agents.sessions            sessions that have ended (ending, error.type)
    optio_agents.sessions.active     sessions that run now
    optio_agents.session.duration    seconds (ending)
    optio_agents.lines               lines of logs that were handled
    optio_agents.deliverables        DELIVERABLE lines that were settled (accepted)
    optio_agents.problems            problems that did not end a session, a restarted log reader among them
    optio_agents.turns               turns that have ended (agent, status, error.type)
    optio_agents.tokens              tokens of turns (agent, gen_ai.token.type)

It needs the extra `otel`, which is the API alone. Without `instrument_sessions`, sessions neither import nor call this
module. What agents say is not recorded, only the paths of deliverables and the reasons of failures.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import trio
from opentelemetry import context, metrics, trace
from opentelemetry.trace import Span, StatusCode

from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.values import ConversationState, TurnResult, TurnStatus
from optio_agents.conversation.views.usage import UsageScope
from optio_agents.protocol.display import display_text
from optio_agents.session.callbacks import SessionCallbacks
from optio_agents.session.events import DeliverableSettled, Ended, ProblemReported, SessionEvent
from optio_agents.session.instrumentation import Phase, SessionProbe, install
from optio_agents.session.outcome import Ending, SessionOutcome

__all__ = ["instrument_sessions"]

T = TypeVar("T")

NAME = "optio_agents"
TEXT_LIMIT = 500
"""Characters of a reason in a span."""

_NO_TURN = (ConversationState.STARTING, ConversationState.IDLE, ConversationState.CLOSED)
_GOOD = (Ending.DONE, Ending.CANCELLED)


def instrument_sessions(
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> Callable[[], None]:
    """Record each session and conversation of this process that begins from now on.

    Args:
        tracer_provider: makes the spans; the global one by default.
        meter_provider: makes the metrics; the global one by default.

    Returns:
        What ends the recording of new sessions; those that run are recorded to their end.

    Raises:
        RuntimeError: sessions are instrumented already.
    """
    tracer = trace.get_tracer(NAME, tracer_provider=tracer_provider)
    return install(
        SessionInstrument(tracer, Instruments(metrics.get_meter(NAME, meter_provider=meter_provider)))
    )


class Instruments:
    """The metrics, made once."""

    def __init__(self, meter: metrics.Meter) -> None:
        def counter(name: str, unit: str, description: str) -> Any:
            return meter.create_counter(f"{NAME}.{name}", unit, description)

        self.sessions = counter("sessions", "{session}", "Sessions that have ended")
        self.active = meter.create_up_down_counter(
            f"{NAME}.sessions.active", "{session}", "Sessions that run now"
        )
        self.duration = meter.create_histogram(f"{NAME}.session.duration", "s", "Time from begin to outcome")
        self.lines = counter("lines", "{line}", "Lines of logs that were handled")
        self.deliverables = counter("deliverables", "{deliverable}", "DELIVERABLE lines that were settled")
        self.problems = counter("problems", "{problem}", "Problems that did not end a session")
        self.turns = counter("turns", "{turn}", "Turns of agents that have ended")
        self.tokens = counter("tokens", "{token}", "Tokens of turns")


class SessionInstrument:
    """Makes a probe for each session, and follows each conversation. See `session.instrumentation.Instrument`."""

    def __init__(self, tracer: trace.Tracer, instruments: Instruments) -> None:
        self._tracer = tracer
        self._instruments = instruments

    @contextmanager
    def session(self, process_id: str | None) -> Iterator[SessionProbe]:
        """The span of a session; everything that the session starts inherits it."""
        attributes = {} if process_id is None else {"optio.process_id": str(process_id)}
        span = self._tracer.start_span("session", attributes=attributes)
        probe = _Probe(self._tracer, self._instruments, span)
        token = context.attach(trace.set_span_in_context(span))
        self._instruments.active.add(1)
        try:
            yield probe
        except BaseException as error:
            probe.failed(error)
            raise
        finally:
            self._instruments.active.add(-1)
            context.detach(token)
            probe.end()

    async def conversation(self, conversation: AgentConversation) -> None:
        """A span for each turn of `conversation`, from its begin to its result."""
        turns = _Turns(self._tracer, self._instruments, conversation.name)
        try:
            with conversation.results() as results:
                async with trio.open_nursery() as nursery:

                    async def follow_states() -> None:
                        async for state in conversation.states():
                            if state not in _NO_TURN:
                                turns.begin()

                    nursery.start_soon(follow_states)
                    async for result in results:
                        turns.result(result)
                        if conversation.state not in _NO_TURN:
                            turns.begin()  # the next one has begun already, without a change of the state
                    nursery.cancel_scope.cancel(reason="the conversation has ended")
        finally:
            turns.end()


class _Probe:
    """Follows one session: its span, the phase that runs, its callbacks, its metrics."""

    def __init__(self, tracer: trace.Tracer, instruments: Instruments, span: Span) -> None:
        self._tracer = tracer
        self._instruments = instruments
        self._span = span
        self._phase: Span | None = None
        self._callbacks: set[Span] = set()
        """The spans of those that run. A callback that ignores its cancellation outlives the session."""
        self._began = time.monotonic()
        self._error_type: str | None = None
        self._outcome: SessionOutcome | None = None

    def phase(self, name: Phase) -> None:
        self._end_phase()
        self._phase = self._tracer.start_span(name, context=trace.set_span_in_context(self._span))

    def wrap(self, callbacks: SessionCallbacks) -> SessionCallbacks:
        return SessionCallbacks(
            body=self._traced("body", callbacks.body),
            prepare=callbacks.prepare and self._traced("prepare", callbacks.prepare),
            before_execute=callbacks.before_execute
            and self._traced("before_execute", callbacks.before_execute),
            on_deliverable=callbacks.on_deliverable
            and self._traced("deliverable", callbacks.on_deliverable, lambda hook, path, text: path),
            on_deliverable_file=callbacks.on_deliverable_file
            and self._traced("deliverable", callbacks.on_deliverable_file, lambda hook, file: file.path),
            on_caller_message=callbacks.on_caller_message
            and self._traced("caller_message", callbacks.on_caller_message),
            after_execute=callbacks.after_execute and self._traced("after_execute", callbacks.after_execute),
            browser_url_rewrite=callbacks.browser_url_rewrite,
        )

    def _traced(
        self, name: str, function: Callable[..., Awaitable[T]], path: Callable[..., str] | None = None
    ) -> Callable[..., Awaitable[T]]:
        @wraps(function)
        async def call(*args: Any) -> T:
            # The callback runs in the caller's event loop, where the session's span is not the current one.
            parent = trace.set_span_in_context(self._phase or self._span)
            span = self._tracer.start_span(name, context=parent)
            if path is not None:
                span.set_attribute("optio_agents.path", display_text(path(*args), TEXT_LIMIT))
            self._callbacks.add(span)
            token = context.attach(trace.set_span_in_context(span, parent))
            try:
                return await function(*args)
            except Exception as error:
                span.record_exception(error)
                span.set_status(StatusCode.ERROR, type(error).__qualname__)
                raise
            finally:
                context.detach(token)
                self._end_callback(span)

        return call

    def event(self, event: SessionEvent) -> None:
        match event:
            case DeliverableSettled(record):
                self._instruments.deliverables.add(1, {"accepted": record.accepted})
                if not record.accepted:
                    reason = record.kind.name.lower() if record.kind is not None else "callback"
                    path = display_text(record.path, TEXT_LIMIT)
                    self._span.add_event("rejected", {"optio_agents.path": path, "reason": reason})
            case ProblemReported(text):
                self._instruments.problems.add(1)
                self._span.add_event("problem", {"message": display_text(text, TEXT_LIMIT)})
            case Ended(outcome):
                self._outcome = outcome

    def failed(self, error: BaseException) -> None:
        self._error_type = type(error).__qualname__
        if not isinstance(error, trio.Cancelled):
            self._span.record_exception(error)

    def end(self) -> None:
        for span in list(self._callbacks):
            span.set_status(StatusCode.ERROR, "abandoned")
            self._end_callback(span)
        self._end_phase()
        ending, outcome = "none", self._outcome
        attributes: dict[str, Any] = {}
        if self._error_type is not None:
            attributes["error.type"] = self._error_type
        if outcome is not None:
            ending = outcome.ending.value
            self._span.set_attributes(
                {"optio_agents.lines": outcome.lines, "optio_agents.deliverables": outcome.deliverable_count}
            )
            self._instruments.lines.add(outcome.lines)
            if outcome.ending not in _GOOD:
                self._span.set_status(StatusCode.ERROR, display_text(outcome.message or ending, TEXT_LIMIT))
        self._span.set_attribute("optio_agents.ending", ending)
        self._span.end()
        self._instruments.sessions.add(1, {"ending": ending, **attributes})
        self._instruments.duration.record(time.monotonic() - self._began, {"ending": ending})

    def _end_callback(self, span: Span) -> None:
        if span in self._callbacks:
            self._callbacks.discard(span)
            span.end()

    def _end_phase(self) -> None:
        if self._phase is not None:
            self._phase.end()
            self._phase = None


class _Turns:
    """The spans of a conversation's turns. States and results come in order each, and one turn runs at a time."""

    def __init__(self, tracer: trace.Tracer, instruments: Instruments, agent: str) -> None:
        self._tracer = tracer
        self._instruments = instruments
        self._agent = agent
        self._span: Span | None = None

    def begin(self) -> None:
        if self._span is None:
            self._span = self._tracer.start_span("turn", attributes={"optio_agents.agent": self._agent})

    def result(self, result: TurnResult) -> None:
        self.begin()  # a turn can be over before its state was seen
        span, self._span = self._span, None
        assert span is not None
        attributes: dict[str, Any] = {"agent": self._agent, "status": result.status.value}
        if result.error_kind is not None:
            attributes["error.type"] = result.error_kind.value
        span.set_attributes(
            {"optio_agents.turn": result.turn, "optio_agents.status": result.status.value}
            | ({} if result.error_kind is None else {"error.type": result.error_kind.value})
        )
        self._count_tokens(result, span)
        if result.status is TurnStatus.FAILED:
            span.set_status(StatusCode.ERROR, display_text(result.error or "", TEXT_LIMIT))
        span.end()
        self._instruments.turns.add(1, attributes)

    def _count_tokens(self, result: TurnResult, span: Span) -> None:
        if result.usage is None or result.usage.scope is UsageScope.SESSION:
            return  # the tokens of a session so far would be counted again with each turn
        for kind, tokens in (("input", result.usage.input_tokens), ("output", result.usage.output_tokens)):
            if tokens is not None:
                span.set_attribute(f"gen_ai.usage.{kind}_tokens", tokens)
                self._instruments.tokens.add(tokens, {"agent": self._agent, "gen_ai.token.type": kind})

    def end(self) -> None:
        """The conversation is over; a turn that has no result was cut off."""
        if self._span is not None:
            self._span.set_status(StatusCode.ERROR, "the conversation ended")
            self._span.end()
            self._span = None
