"""Tracing with OpenTelemetry: a span for each handled message, child of whatever was current when it was
sent.

Beside the core: nothing in `actors` imports this module. It needs the extra `otel` (the API only; what
becomes of the spans is the SDK's business, and the application's).
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
    """Give an instance to `open_supervisor(hooks=...)`.

    The span is named `<actor> <message class>`, begins when the actor takes the message, ends when it asks
    for the next one, and is current meanwhile, so that what the handler sends or traces belongs to it. The
    time between sending and taking is its attribute-free gap to the parent. A run that fails marks the span
    it was in as failed.
    """

    def __init__(self, tracer: trace.Tracer | None = None) -> None:
        """Use `tracer`, or the global provider's."""
        self._tracer = tracer or trace.get_tracer("actors")
        self._open: dict[TracedActor, tuple[trace.Span, Token[Context]]] = {}

    def sent(self, actor: TracedActor, message: Any) -> Context:
        """Remember where the message comes from."""
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
