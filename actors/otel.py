"""Tracing with OpenTelemetry: a span for each handled message, a child of the sender's current span.

No other module of `actors` imports this one. It needs the extra `otel` (only the API; the application configures the
SDK, which processes the spans).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context, trace

from actors.hooks import Hooks, TracedActor

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context

    from actors.exits import Exit
    from actors.lifecycle import State


class OpenTelemetryHooks(Hooks):
    """Pass an instance to `open_supervisor(hooks=...)`.

    The span is named `<actor> <message class>`. It begins when the actor takes the message and ends when it requests
    the next one. It is the current span meanwhile, so that the handler's messages and spans are its children. The gap
    between the parent's begin and its own is the time in the mailbox. A failed run marks its current span as failed.
    """

    def __init__(self, tracer: trace.Tracer | None = None) -> None:
        """Use `tracer`, or the global provider's."""
        self._tracer = tracer or trace.get_tracer("actors")
        self._open: dict[TracedActor, tuple[trace.Span, Token[Context]]] = {}

    def sent(self, actor: TracedActor, message: Any) -> Context:
        """Remember the sender's context."""
        return context.get_current()

    def received(self, actor: TracedActor, message: Any, token: Any) -> None:
        """Begin the span."""
        self.handled(actor)
        span = self._tracer.start_span(
            f"{actor.name} {type(message).__name__}", context=token, kind=trace.SpanKind.CONSUMER
        )
        self._open[actor] = span, context.attach(trace.set_span_in_context(span, token))

    def handled(self, actor: TracedActor) -> None:
        """End the span."""
        if (entry := self._open.pop(actor, None)) is not None:
            span, token = entry
            span.end()
            context.detach(token)

    def moved(self, actor: TracedActor, before: State, after: State, exit: Exit | None) -> None:
        """Mark the span of a failed handler."""
        entry = self._open.get(actor)
        if entry is None or exit is None:
            return
        if exit.cause is not None:
            entry[0].record_exception(exit.cause)
            entry[0].set_status(trace.StatusCode.ERROR, repr(exit.cause))
        self.handled(actor)
