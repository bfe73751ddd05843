"""Sessions and conversations as traces and metrics, read back from the real SDK's in-memory exporters."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from actors.testing import cancel_at_every_step
from optio_agents import HookContext, run_log_protocol_session, telemetry
from optio_agents.conversation import TurnStatus, claude, open_conversation
from optio_agents.protocol.session import SessionFailed, SessionOptions
from optio_agents.telemetry import instrument_sessions
from tests.support.session import MemoryHost, RecordingCtx

CLAUDE = [sys.executable, str(Path(__file__).parent / "support" / "claude_agent.py")]


class OpenSpans(SpanProcessor):
    """Which spans have begun and not ended."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.names.append(span.name)

    def on_end(self, span: ReadableSpan) -> None:
        self.names.remove(span.name)


class Recorded:
    """What was exported."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self.exporter = InMemorySpanExporter()
        self.open = OpenSpans()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.provider.add_span_processor(self.open)
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """By name; of several, the last."""
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def tree(self) -> set[tuple[str, str | None]]:
        """Each span with its parent."""
        finished = self.exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in finished}
        return {(span.name, names[span.parent.span_id] if span.parent else None) for span in finished}

    def metric(self, name: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        """The values of a metric by their attributes."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            tuple(sorted((point.attributes or {}).items())): getattr(point, "value", None)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    record = Recorded()
    detach = instrument_sessions(tracer_provider=record.provider, meter_provider=record.meters)
    yield record
    detach()
    assert record.open.names == []


async def reject_b(hook_ctx: HookContext, path: str, text: str) -> str | None:
    return "not this one" if path == "b" else None


async def deliver(host: MemoryHost, hook_ctx: HookContext) -> None:
    host.write("STATUS: 50% half")
    host.deliver("a", "text")
    host.deliver("b", "text")
    host.write("DELIVERABLE: missing", "DONE")
    await trio.sleep_forever()


async def nothing(hook_ctx: HookContext) -> None:
    pass


async def test_a_session_is_one_trace_with_its_phases_and_callbacks(recorded: Recorded) -> None:
    with recorded.provider.get_tracer("caller").start_as_current_span("caller"):
        await run_log_protocol_session(
            MemoryHost(),
            RecordingCtx(),
            body=deliver,
            before_execute=nothing,
            on_deliverable=reject_b,
            after_execute=nothing,
        )
    tree = recorded.tree()
    assert {("caller", None), ("session", "caller"), ("setup", "session"), ("run", "session")} <= tree
    assert {("teardown", "session"), ("body", "run"), ("before_execute", "setup")} <= tree
    assert {name for name, parent in tree if parent in ("run", "drain")} == {"body", "deliverable"}
    assert len({span.context.trace_id for span in recorded.exporter.get_finished_spans()}) == 1
    session = recorded.spans["session"]
    assert session.attributes is not None
    assert session.attributes["optio_agents.ending"] == "done"
    assert [event.name for event in session.events] == ["rejected", "rejected"]


async def test_the_metrics_count_what_happened(recorded: Recorded) -> None:
    await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=deliver, on_deliverable=reject_b)
    assert recorded.metric("optio_agents.sessions") == {(("ending", "done"),): 1}
    assert recorded.metric("optio_agents.sessions.active") == {(): 0}
    assert recorded.metric("optio_agents.lines") == {(): 5}
    deliverables = recorded.metric("optio_agents.deliverables")
    assert deliverables == {(("accepted", True),): 1, (("accepted", False),): 2}


async def test_a_failure_marks_the_span_and_names_its_cause(recorded: Recorded) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        raise LookupError("no such model")

    with pytest.raises(LookupError):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body)
    assert recorded.spans["session"].status.status_code is StatusCode.ERROR
    assert recorded.spans["body"].status.status_code is StatusCode.ERROR
    (attributes,) = recorded.metric("optio_agents.sessions")
    assert dict(attributes) == {"ending": "body-failed", "error.type": "LookupError"}


async def test_spans_of_a_callback_belong_to_it_and_logs_to_the_session(recorded: Recorded) -> None:
    logged: list[int] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(trace.get_current_span().get_span_context().trace_id)

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str | None:
        with recorded.provider.get_tracer("user").start_as_current_span("user"):
            raise ValueError("unreadable")

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "text")
        host.write("DONE")
        await trio.sleep_forever()

    handler = Handler()
    logger = logging.getLogger("optio_agents.session")
    logger.addHandler(handler)
    try:
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, on_deliverable=on_deliverable)
    finally:
        logger.removeHandler(handler)
    assert ("user", "deliverable") in recorded.tree()
    assert logged
    assert set(logged) == {recorded.spans["session"].context.trace_id}


async def test_code_that_is_abandoned_leaves_no_span_open(recorded: Recorded) -> None:
    release = trio.Event()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write("DONE")
        with trio.CancelScope(shield=True):
            await release.wait()

    await run_log_protocol_session(
        MemoryHost(), RecordingCtx(), body=body, options=SessionOptions(cancel_grace=0)
    )
    assert recorded.spans["body"].status.description == "abandoned"
    assert recorded.open.names == []
    release.set()


def test_under_asyncio_the_trace_is_the_same(recorded: Recorded, tmp_path: Path) -> None:
    from optio_host.host import LocalHost

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        with recorded.provider.get_tracer("user").start_as_current_span("user"):
            await asyncio.sleep(0)
        await hook_ctx.run_on_host("echo DONE >> optio.log")

    with recorded.provider.get_tracer("caller").start_as_current_span("caller"):
        asyncio.run(run_log_protocol_session(LocalHost(str(tmp_path)), RecordingCtx(), body=body))
    assert {("session", "caller"), ("body", "run"), ("user", "body")} <= recorded.tree()


def test_nothing_dangles_when_a_session_is_cancelled_at_any_step(recorded: Recorded) -> None:
    def build() -> tuple[Callable[[], Any], Callable[[], None]]:
        recorded.exporter.clear()

        async def scenario() -> None:
            await run_log_protocol_session(
                MemoryHost(),
                RecordingCtx(),
                body=deliver,
                on_deliverable=reject_b,
                after_execute=nothing,
            )

        def check() -> None:
            assert recorded.open.names == []
            assert sum(span.name == "session" for span in recorded.exporter.get_finished_spans()) <= 1

        return scenario, check

    report = cancel_at_every_step(build, seeds=range(2), stride=3)
    assert report.points > 10


async def test_each_turn_of_a_conversation_is_a_span(recorded: Recorded, tmp_path: Path) -> None:
    async with open_conversation(claude(CLAUDE), workdir=tmp_path) as conversation:
        results = [await conversation.ask('[["text", "one"]]'), await conversation.ask('[["text", "two"]]')]
    assert [result.status for result in results] == [TurnStatus.COMPLETED] * 2
    turns = [span for span in recorded.exporter.get_finished_spans() if span.name == "turn"]
    assert [span.attributes and span.attributes["optio_agents.turn"] for span in turns] == [
        result.turn for result in results
    ]
    assert recorded.metric("optio_agents.turns") == {(("agent", "claude"), ("status", "completed")): 2}


async def test_a_turn_that_is_cut_off_ends_its_span(recorded: Recorded, tmp_path: Path) -> None:
    async with open_conversation(claude(CLAUDE), workdir=tmp_path) as conversation:
        await conversation.send('[["hang"]]')
        await conversation.wait_state(conversation.state.RUNNING)
    assert recorded.spans["turn"].end_time is not None


async def test_it_is_installed_once_and_detached(recorded: Recorded) -> None:
    with pytest.raises(RuntimeError, match="installed already"):
        instrument_sessions()


async def test_after_detaching_nothing_is_recorded() -> None:
    record = Recorded()
    instrument_sessions(tracer_provider=record.provider, meter_provider=record.meters)()
    with pytest.raises(SessionFailed):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=return_at_once)
    assert record.exporter.get_finished_spans() == ()


async def return_at_once(host: MemoryHost, hook_ctx: HookContext) -> None:
    pass


def test_a_session_without_it_imports_no_opentelemetry() -> None:
    code = (
        "import sys, optio_agents.protocol.session, optio_agents.conversation.opening\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_names_each_metric_and_its_program_works() -> None:
    page = (Path(__file__).parent.parent / "docs" / "telemetry.md").read_text()
    names = set(re.findall(r"^\| `([a-z_.]+)`", page, re.MULTILINE))
    assert names == set(re.findall(r"^    (optio_agents[a-z_.]*)", telemetry.__doc__ or "", re.MULTILINE))
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(compile(f"{program}\ndetach()", "docs/telemetry.md", "exec", dont_inherit=True), {})
