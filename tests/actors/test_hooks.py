from __future__ import annotations

from typing import Any

import pytest
import trio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trio.testing import wait_all_tasks_blocked

import actors
from actors.otel import OpenTelemetryHooks
from tests.support.sample_actors import asking, keep


class Recorder(actors.Hooks):
    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []

    def sent(self, actor: actors.TracedActor, message: Any) -> Any:
        self.log.append(("sent", actor.name, message))
        return f"token {message}"

    def received(self, actor: actors.TracedActor, message: Any, token: Any) -> None:
        self.log.append(("received", actor.name, message, token))

    def handled(self, actor: actors.TracedActor) -> None:
        self.log.append(("handled", actor.name))

    def moved(
        self, actor: actors.TracedActor, before: actors.State, after: actors.State, exit: actors.Exit | None
    ) -> None:
        self.log.append((before.value, after.value, exit.kind.value if exit else None))


async def test_hooks_see_the_way_of_a_message_and_the_life_of_the_actor() -> None:
    hooks = Recorder()
    async with actors.open_supervisor(hooks=hooks) as supervisor:
        ref = await supervisor.start(actors.actor(keep, []), name="a")
        await ref.tell("one")
        await wait_all_tasks_blocked()
    assert hooks.log == [
        ("starting", "running", None),
        ("sent", "a", "one"),
        ("received", "a", "one", "token one"),
        ("handled", "a"),
        ("running", "stopping", None),
        ("stopping", "ended", "stopped"),
    ]


async def test_hooked_mailboxes_behave_as_others_do() -> None:
    log: list[Any] = []
    letters: list[actors.DeadLetter] = []
    async with actors.open_supervisor(hooks=actors.Hooks(), on_dead_letter=letters.append) as supervisor:
        ref = await supervisor.start(
            actors.actor(keep, log), capacity=4, overflow=actors.Overflow.DROP_OLDEST
        )
        for number in range(6):
            ref.try_tell(number)
        await wait_all_tasks_blocked()
        assert await ref.ask(asking("in order"), timeout=30) == "in order"
        ref.try_tell("hang")
        ref.try_tell("left")
        await wait_all_tasks_blocked()
        ref.cancel()
    assert [entry for entry in log if isinstance(entry, int)] == [2, 3, 4, 5]
    assert [letter.message for letter in letters] == [0, 1, "hang", "left"]


async def test_a_batch_of_a_traced_actor_is_received_message_by_message() -> None:
    hooks = Recorder()
    batches: list[list[str]] = []

    async def in_batches(me: actors.Me[str], gate: trio.Event) -> None:
        me.ready()
        await gate.wait()
        while True:
            batches.append(await me.receive_batch(3))

    gate = trio.Event()
    async with actors.open_supervisor(hooks=hooks) as supervisor:
        ref = await supervisor.start(actors.actor(in_batches, gate), name="a")
        for message in "abcd":
            await ref.tell(message)
        gate.set()
        await wait_all_tasks_blocked()
    assert batches == [["a", "b", "c"], ["d"]]
    assert [entry for entry in hooks.log if entry[0] in ("received", "handled")] == [
        ("received", "a", "a", "token a"),
        ("received", "a", "b", "token b"),
        ("received", "a", "c", "token c"),
        ("handled", "a"),
        ("received", "a", "d", "token d"),
        ("handled", "a"),
    ]


async def test_what_is_in_hand_of_a_traced_batch_becomes_dead_letters() -> None:
    letters: list[actors.DeadLetter] = []

    async def fails(me: actors.Me[str], gate: trio.Event) -> None:
        me.ready()
        await gate.wait()
        await me.receive_batch(2)
        raise ValueError

    gate = trio.Event()
    async with actors.open_supervisor(
        hooks=Recorder(), on_dead_letter=letters.append, on_failure=lambda ref, exit: None
    ) as supervisor:
        ref = await supervisor.start(actors.actor(fails, gate))
        for message in "abc":
            await ref.tell(message)
        gate.set()
        await ref.wait()
    assert [letter.message for letter in letters] == ["a", "b", "c"]


async def test_spans_of_two_actors_of_one_name_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    provider = TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    gate = trio.Event()

    async def worker(me: actors.Me[str]) -> None:
        async for message in me:
            if message == "long":
                await gate.wait()

    hooks = OpenTelemetryHooks(provider.get_tracer("test"))
    async with actors.open_supervisor(hooks=hooks) as top:
        refs = []
        for name in ("left", "right"):
            sub = await top.start_supervisor(name=name)
            refs.append(await sub.start(actors.actor(worker), name="worker"))
        await refs[0].tell("long")
        await wait_all_tasks_blocked()
        await refs[1].tell("short")
        await wait_all_tasks_blocked()
        assert len(exporter.get_finished_spans()) == 1
        gate.set()
    assert len(exporter.get_finished_spans()) == 2
    assert not caplog.records


async def test_a_span_for_each_message_as_the_child_of_its_senders() -> None:
    provider = TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")

    async def forward(me: actors.Me[str], to: actors.Ref[str]) -> None:
        async for message in me:
            await to.tell(message.upper())

    async with actors.open_supervisor(
        hooks=OpenTelemetryHooks(tracer), on_failure=lambda ref, exit: None
    ) as supervisor:
        last = await supervisor.start(actors.actor(keep, []), name="last")
        first = await supervisor.start(actors.actor(forward, last), name="first")
        with tracer.start_as_current_span("outside"):
            await first.tell("hello")
            await first.tell("world")
        await wait_all_tasks_blocked()
        await last.tell("boom")
        await last.wait()
    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans if span.context is not None}
    chains = [
        (span.name, by_id[span.parent.span_id].name)
        for span in spans
        if span.parent and span.name != "outside"
    ]
    assert sorted(chains) == [
        ("first str", "outside"), ("first str", "outside"), ("last str", "first str"), ("last str", "first str"),
    ]  # fmt: skip
    failed = [span for span in spans if span.status.description]
    assert [span.name for span in failed] == ["last str"]
    assert [event.name for event in failed[0].events] == ["exception"]
