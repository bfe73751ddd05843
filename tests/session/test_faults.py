"""Faults that every session survives, in memory and in virtual time."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
import trio.testing

from actors.testing import run_seeded
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.hosts.base import LogLost, LogPosition
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.protocol.session import (
    DeliverableFile,
    Ending,
    SessionFailed,
    SessionOptions,
    SessionOutcome,
)
from optio_agents.session.events import LineHinted, ProgressReported, SessionEvent
from tests.support.session import MemoryHost, MemoryReader, RecordingCtx

Clock = trio.testing.MockClock
EVERYTHING = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


async def for_ever(*args: Any) -> None:
    await trio.sleep_forever()


async def nothing(*args: Any) -> None:
    await trio.lowlevel.checkpoint()


def writing(*lines: str) -> Any:
    """A body that writes these lines and works on."""

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*lines)
        await trio.sleep_forever()

    return body


def stray_cancellation() -> trio.Cancelled:
    """A cancellation that belongs to nobody around it."""
    return trio.Cancelled._create(source="unknown")


# The log.


async def test_a_log_that_cannot_be_read_again_fails_the_session_and_says_so(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.lose_reader_at = set(range(-100, 0))  # every attempt from now on
        host.write("STATUS: 1% x")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match=r"tailer failed: LogLost") as caught:
        await run_log_protocol_session(host, RecordingCtx(), body=body)
    assert isinstance(caught.value.__cause__, LogLost)
    assert caught.value.outcome.ending is Ending.FAILED
    assert 5 < trio.current_time() < 60, "a connection gets some time to come back"


async def test_what_is_written_while_the_reader_is_away_is_read_later(autojump_clock: Clock) -> None:
    host, ctx = MemoryHost(), RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write("one")
        await trio.sleep(1)
        host.lose_reader_at = {-1, -2, -3}
        host.write("two", "three", "DONE")

    outcome = await run_log_protocol_session(host, ctx, body=body)
    assert outcome.ending is Ending.DONE
    assert [message for message in ctx.messages if not message.startswith("The log")] == [
        "one",
        "two",
        "three",
    ]


def test_lines_after_done_disturb_nobody(caplog: pytest.LogCaptureFixture) -> None:
    # The reader goes on while the parser has ended: that is no failure, and nothing to be logged.
    for seed in range(50):

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            host.write("DONE")
            while True:
                await trio.lowlevel.checkpoint()
                host.write("more")

        host = MemoryHost()

        async def session() -> SessionOutcome:
            return await run_log_protocol_session(host, RecordingCtx(), body=body)  # noqa: B023

        outcome = run_seeded(session, seed=seed)
        assert outcome.problems == ()
    assert caplog.records == []


# One line.


async def test_a_ctx_call_that_fails_is_that_line_s_problem(autojump_clock: Clock) -> None:
    host, ctx = MemoryHost(), RecordingCtx()

    def fail(name: str, args: tuple[Any, ...]) -> None:
        if args[0] in ("bad", "http://bad"):
            raise RuntimeError("the database is gone")

    ctx.on_call = fail
    outcome = await run_log_protocol_session(
        host,
        ctx,
        body=writing(
            "CLIENT_MESSAGE: bad 1",
            "CLIENT_MESSAGE: good 2",
            "BROWSER: http://bad",
            "ATTENTION: bad",
            "ATTENTION: good",
            "DONE",
        ),
        protocol=get_protocol(browser="redirect", client_messages=True),
    )
    assert outcome.ending is Ending.DONE
    assert ctx.of("client")[-1] == ("good", 2)
    assert ctx.of("attention")[-1] == ("good",)
    assert len(outcome.problems) == 3
    assert all("the database is gone" in problem for problem in outcome.problems)


async def test_a_ctx_that_takes_no_progress_fails_the_session() -> None:
    ctx = RecordingCtx()

    def fail(name: str, args: tuple[Any, ...]) -> None:
        raise ConnectionError("no database")

    ctx.on_call = fail
    with pytest.raises(SessionFailed, match="no database") as caught:
        await run_log_protocol_session(MemoryHost(), ctx, body=writing("STATUS: 1% x", "DONE"))
    assert isinstance(caught.value.__cause__, ConnectionError)


async def test_lines_that_nobody_can_digest_pass_by() -> None:
    host, ctx, got = MemoryHost(), RecordingCtx(), []

    async def on_caller_message(hook_ctx: HookContext, keyword: str, data: Any) -> None:
        got.append((keyword, data))

    def lone(escape: str) -> str:
        return f'CALLER_MESSAGE: surrogate "{escape}"'

    lines = [
        "CALLER_MESSAGE: deep " + "[" * 30_000,
        "CALLER_MESSAGE: big " + "9" * 5_000,
        "CALLER_MESSAGE: big 1e400",
        lone("\\ud800"),
        "STATUS: " + "9" * 5_000 + "% x",
        "STATUS: 5% \udcff".encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "CALLER_MESSAGE: last 1",
        "DONE",
    ]
    outcome = await run_log_protocol_session(
        host,
        ctx,
        body=writing(*lines),
        protocol=get_protocol(caller_messages=True),
        on_caller_message=on_caller_message,
    )
    assert outcome.ending is Ending.DONE
    assert outcome.lines == len(lines)
    assert got[-1] == ("last", 1)
    for message in ctx.messages:
        message.encode()  # a database would refuse a lone surrogate
        assert len(message) <= 2_100


async def test_a_very_long_message_is_cut_before_it_reaches_the_ctx() -> None:
    ctx = RecordingCtx()
    await run_log_protocol_session(
        MemoryHost(),
        ctx,
        body=writing("STATUS: 1% " + "x" * 17_000_000, "ERRORS " * 4000, "DONE: " + "y" * 100_000),
    )
    assert len(ctx.messages) == 3
    assert all(len(message) <= 2_100 for message in ctx.messages)


async def test_control_characters_are_made_harmless() -> None:
    ctx, evil = RecordingCtx(), "a\x1b[31mred\x1b[0m\x00\u202egnp.exe\ufeff"
    with pytest.raises(SessionFailed) as caught:
        await run_log_protocol_session(
            MemoryHost(),
            ctx,
            body=writing(f"STATUS: 1% {evil}", evil, f"ATTENTION: {evil}", f"ERROR: {evil}"),
        )
    texts = [*ctx.messages, *(args[0] for args in ctx.of("attention")), str(caught.value)]
    assert len(texts) == 4
    for text in texts:
        assert "red" in text
        assert not set(text) & set("\x1b\x00\u202e\ufeff")


async def test_a_near_miss_is_hinted_to_the_agent_once() -> None:
    told: list[str] = []
    events: list[SessionEvent] = []

    async def sender(text: str) -> None:
        told.append(text)

    await run_log_protocol_session(
        MemoryHost(),
        RecordingCtx(),
        body=writing("done", "**DONE**", " DONE", "Status: 5% x", "DONE"),
        agent_sender=sender,
        options=SessionOptions(on_event=events.append),
    )
    assert len(told) == 1
    assert "DONE" in told[0]
    assert sum(isinstance(event, LineHinted) for event in events) == 1
    assert [type(event) for event in events[:5]] == [ProgressReported] * 4 + [LineHinted]


async def test_a_near_miss_at_the_end_of_a_flood_is_hinted() -> None:
    told: list[str] = []

    async def sender(text: str) -> None:
        told.append(text)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*["building"] * 5000, "Done.")
        await trio.testing.wait_all_tasks_blocked()
        assert len(told) == 1
        assert "`Done.`" in told[0]
        host.write("DONE")
        await trio.sleep_forever()

    await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, agent_sender=sender)


async def test_a_hint_for_which_the_channel_has_no_room_is_given_later(autojump_clock: Clock) -> None:
    told: list[str] = []

    async def sender(text: str) -> None:
        await trio.sleep(1)
        told.append(text)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*["DELIVERABLE: ../x"] * 300)
        await trio.testing.wait_all_tasks_blocked()
        host.write("done")
        await trio.sleep(400)
        host.write("done", "DONE")
        await trio.sleep_forever()

    await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, agent_sender=sender)
    assert len(told) == 301


# Deliverables and messages.


async def test_a_file_that_is_wrong_in_any_way_has_its_own_reply(autojump_clock: Clock) -> None:
    told: list[str] = []

    async def sender(text: str) -> None:
        told.append(text)

    host = MemoryHost()
    host.deliverables.update({"big": b"x" * 11, "binary": b"\xff"})
    outcome = await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing(
            "DELIVERABLE: ../x",
            "DELIVERABLE: deliverables/a\0b",
            "DELIVERABLE: deliverables/none",
            "DELIVERABLE: deliverables/big",
            "DELIVERABLE: deliverables/binary",
            "DONE",
        ),
        agent_sender=sender,
        options=SessionOptions(text_limit=10),
    )
    assert [record.kind for record in outcome.deliverables] == [
        RejectionKind.OUTSIDE,
        RejectionKind.INVALID_PATH,
        RejectionKind.MISSING,
        RejectionKind.TOO_LARGE,
        RejectionKind.NOT_UTF8,
    ]
    assert len({text.split("rejected:")[1] for text in told}) == 5


async def test_a_cancellation_that_escapes_from_a_callback_is_reported_and_the_session_goes_on() -> None:
    host, told = MemoryHost(), []

    async def sender(text: str) -> None:
        told.append(text)

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        if path == "a":
            raise stray_cancellation()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.deliver("b", "")
        host.write("DONE")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        host, RecordingCtx(), body=body, on_deliverable=on_deliverable, agent_sender=sender
    )
    assert outcome.ending is Ending.DONE
    assert [record.failed for record in outcome.deliverables] == [True, False]
    assert len(told) == 2
    assert len(outcome.problems) == 1


@pytest.mark.parametrize("phase", ["prepare", "before_execute", "after_execute"])
async def test_a_cancellation_that_escapes_from_a_hook_is_a_failure(phase: str) -> None:
    async def hook(*args: Any) -> None:
        raise stray_cancellation()

    hooks: dict[str, Any] = {phase: hook}
    with pytest.raises(Exception, match=f"{phase} let a cancellation escape"):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=writing("DONE"), **hooks)


async def test_attention_and_error_are_seen_at_once_behind_a_stuck_callback(autojump_clock: Clock) -> None:
    host, ctx, seen = MemoryHost(), RecordingCtx(), []

    def note(name: str, args: tuple[Any, ...]) -> None:
        if name == "attention":
            seen.append(trio.current_time())

    ctx.on_call = note
    lines = [f"CALLER_MESSAGE: k {number}" for number in range(70)]
    with pytest.raises(SessionFailed, match="enough") as caught:
        await run_log_protocol_session(
            host,
            ctx,
            body=writing(*lines, "ATTENTION: here", "ERROR: enough"),
            protocol=EVERYTHING,
            on_caller_message=for_ever,
        )
    outcome = caught.value.outcome
    assert seen == [0.0]
    assert outcome.timings.run == 0.0
    assert outcome.timings.drain == SessionOptions().drain_timeout
    assert outcome.unsettled == 70


class ForgetfulHost(MemoryHost):
    """A host whose log does not keep what was read: a test of memory must not fill it by itself."""

    @asynccontextmanager
    async def open_log(
        self, position: LogPosition, *, settled: Callable[[bytes], bool]
    ) -> AsyncIterator[MemoryReader]:
        async with super().open_log(position, settled=settled) as self.reader:
            yield self.reader

    def forget(self) -> None:
        self.log.clear()
        self.reader._offset = 0


async def test_a_flood_behind_a_stuck_callback_keeps_memory_flat_and_control_is_seen_at_once(
    autojump_clock: Clock,
) -> None:
    host, ctx, messages = ForgetfulHost(), RecordingCtx(), 4_000
    line = f'CALLER_MESSAGE: k "{"x" * 8000}"'

    async def body(host: ForgetfulHost, hook_ctx: HookContext) -> None:
        for _ in range(messages // 20):
            host.write(*[line] * 20)
            await trio.sleep(1)
            host.forget()
        host.write("ATTENTION: here", "ERROR: enough")
        await trio.sleep_forever()

    tracemalloc.start()
    try:
        with pytest.raises(SessionFailed, match="enough") as caught:
            await run_log_protocol_session(
                host, ctx, body=body, protocol=EVERYTHING, on_caller_message=for_ever
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024, "a quarter of what was written"
    assert len(ctx.of("attention")) == 1
    assert caught.value.outcome.unsettled == messages


# Cancelled, stuck, left behind.


@pytest.mark.parametrize("phase", ["before the start", "setup_workdir", "prepare", "before_execute"])
@pytest.mark.parametrize("way", ["optio", "caller"])
async def test_a_cancel_during_the_set_up_returns_at_once_and_launches_no_agent(
    phase: str, way: str, autojump_clock: Clock
) -> None:
    host, ctx, ran = MemoryHost(), RecordingCtx(), []
    scope = trio.CancelScope()

    async def stop(*args: Any) -> None:
        scope.cancel() if way == "caller" else ctx.cancellation_flag.set()
        await trio.sleep(3600)

    async def body(*args: Any) -> None:
        ran.append("body")

    async def after(hook_ctx: HookContext) -> None:
        ran.append("after")

    hooks: dict[str, Any] = {}
    if phase == "before the start":
        scope.cancel() if way == "caller" else ctx.cancellation_flag.set()
    elif phase == "setup_workdir":
        host.setup_workdir = stop  # type: ignore[method-assign]
    else:
        hooks[phase] = stop
    outcome = None
    with scope:
        outcome = await run_log_protocol_session(host, ctx, body=body, after_execute=after, **hooks)
    assert trio.current_time() == 0.0
    assert ran == ([] if phase == "before the start" else ["after"])
    if way == "caller":
        assert scope.cancelled_caught
    else:
        assert outcome is not None
        assert outcome.ending is Ending.CANCELLED


@pytest.mark.parametrize("keywords", [True, False])
def test_a_cancel_as_the_last_act_of_before_execute_launches_no_agent(keywords: bool) -> None:
    for seed in range(50):
        ctx, ran = RecordingCtx(), []

        async def before(hook_ctx: HookContext) -> None:
            ctx.cancellation_flag.set()  # noqa: B023

        async def body(*args: Any) -> None:
            ran.append("body")  # noqa: B023

        async def session() -> SessionOutcome:
            return await run_log_protocol_session(
                MemoryHost(),
                ctx,  # noqa: B023
                body=body,
                before_execute=before,
                keywords=keywords,
            )

        outcome = run_seeded(session, seed=seed)
        assert outcome.ending is Ending.CANCELLED
        assert ran == []


def ignoring(release: trio.Event) -> Any:
    """User code that ignores its cancellation until it is let go (for ever would hang the test that fails)."""

    async def stubborn(*args: Any) -> None:
        with trio.CancelScope(shield=True), trio.move_on_after(10_000):
            await release.wait()

    return stubborn


async def test_progress_extends_the_drain(autojump_clock: Clock) -> None:
    """A thousand good deliverables, then DONE: each takes a second, the drain deadline is 30 s."""
    host, told = MemoryHost(), []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        await trio.sleep(1)

    async def sender(message: str) -> None:
        told.append(message)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for number in range(1000):
            host.deliver(str(number), "x")
        host.write("DONE")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        host, RecordingCtx(), body=body, on_deliverable=on_deliverable, agent_sender=sender
    )
    assert (outcome.deliverable_count, outcome.unsettled, len(told)) == (1000, 0, 1000)


@pytest.mark.parametrize("stuck", ["on_deliverable", "agent_sender", "ctx.need_attention", "body"])
@pytest.mark.parametrize("way", ["optio", "caller"])
async def test_user_code_that_ignores_its_cancellation_is_named_and_does_not_hold_the_session(
    stuck: str, way: str, autojump_clock: Clock
) -> None:
    host, ctx, release = MemoryHost(), RecordingCtx(), trio.Event()
    ended: list[SessionOutcome] = []
    scope = trio.CancelScope()
    stubborn = ignoring(release)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "a")
        host.write("ATTENTION: x")
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel() if way == "caller" else ctx.cancellation_flag.set()
        await (stubborn() if stuck == "body" else trio.sleep_forever())

    arguments: dict[str, Any] = {}
    if stuck == "ctx.need_attention":
        ctx.need_attention = stubborn  # type: ignore[method-assign]
    elif stuck != "body":
        arguments[stuck] = stubborn

    def observe(event: SessionEvent) -> None:
        if hasattr(event, "outcome"):
            ended.append(event.outcome)

    with scope:
        await run_log_protocol_session(
            host, ctx, body=body, options=SessionOptions(on_event=observe, cancel_grace=2.0), **arguments
        )
    assert trio.current_time() == 2.0
    assert ended[0].ending is Ending.CANCELLED
    (abandoned,) = ended[0].abandoned
    assert abandoned.startswith(f"{stuck} at ")
    assert "test_faults.py" in abandoned
    release.set()


async def test_a_callback_that_swallows_its_cancellation_does_not_get_the_next_deliverable(
    autojump_clock: Clock,
) -> None:
    host, ctx, called = MemoryHost(), RecordingCtx(), []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        called.append(path)
        ctx.cancellation_flag.set()
        with trio.CancelScope(shield=True):
            await trio.sleep(1)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for name in "abc":
            host.deliver(name, "")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(host, ctx, body=body, on_deliverable=on_deliverable)
    assert called == ["a"]
    assert outcome.ending is Ending.CANCELLED
    assert outcome.unsettled == 2 + 1, "two were not handed over, and the reply to one was not sent"


async def test_a_callback_that_was_left_behind_changes_nothing_any_more(autojump_clock: Clock) -> None:
    host, ctx, release, called = MemoryHost(), RecordingCtx(), trio.Event(), []
    events: list[SessionEvent] = []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        called.append(path)
        ctx.cancellation_flag.set()
        await ignoring(release)()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.deliver("b", "")
        await trio.sleep_forever()

    await run_log_protocol_session(
        host, ctx, body=body, on_deliverable=on_deliverable, options=SessionOptions(on_event=events.append)
    )
    before = (list(called), len(events), len(ctx.calls))
    release.set()
    await trio.testing.wait_all_tasks_blocked()
    assert (called, len(events), len(ctx.calls)) == before


async def test_done_with_a_stuck_callback_is_a_failure_that_says_so(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for name in "abc":
            host.deliver(name, "")
        host.write("DONE")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match=r"DONE, but 3 .* not settled within 7 s") as caught:
        await run_log_protocol_session(
            host, RecordingCtx(), body=body, on_deliverable=for_ever, options=SessionOptions(drain_timeout=7)
        )
    assert caught.value.outcome.unsettled == 3
    assert trio.current_time() == 7.0


async def test_done_with_a_stuck_sender_is_a_failure_that_says_so(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.deliver("b", "")
        host.write("DONE")
        await trio.sleep_forever()

    with pytest.raises(
        SessionFailed, match=r"DONE, but 2 .*messages to the agent were not settled"
    ) as caught:
        await run_log_protocol_session(host, RecordingCtx(), body=body, agent_sender=for_ever)
    assert len(caught.value.outcome.deliverables) == 2
    assert trio.current_time() == 30.0


async def test_a_callback_that_ends_just_after_the_drain_deadline_does_not_hide_what_happened(
    autojump_clock: Clock,
) -> None:
    async def slow(hook_ctx: HookContext, path: str, text: str) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(32)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match=r"DONE, but 1 .* not settled"):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, on_deliverable=slow)


async def test_a_sender_that_fails_is_no_failure_of_the_session() -> None:
    async def dead(text: str) -> None:
        raise BrokenPipeError("the agent is gone")

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")

    ctx = RecordingCtx()
    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body, agent_sender=dead)
    assert outcome.ending is Ending.DONE
    assert len(outcome.problems) == 1
    assert any("the agent is gone" in message for message in ctx.messages)


async def test_optio_s_cancel_after_done_cuts_the_drain_short(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")
        await trio.sleep(3)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body, on_deliverable=for_ever)
    assert outcome.ending is Ending.CANCELLED
    assert outcome.unsettled == 1
    assert trio.current_time() == 3.0


# after_execute.


@pytest.mark.parametrize("stubborn", [False, True])
async def test_an_after_execute_that_never_returns_meets_its_deadline(
    stubborn: bool, autojump_clock: Clock
) -> None:
    release = trio.Event()
    hook = ignoring(release) if stubborn else for_ever
    with pytest.raises(SessionFailed, match="after_execute did not end within 60 s") as caught:
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=hook)
    assert trio.current_time() == (61.0 if stubborn else 60.0)
    assert len(caught.value.outcome.abandoned) == stubborn
    release.set()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_optios_cancel_leaves_after_execute_its_grace_only(
    stubborn: bool, autojump_clock: Clock
) -> None:
    release, ctx = trio.Event(), RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    hook = ignoring(release) if stubborn else for_ever
    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body, after_execute=hook)
    assert outcome.ending is Ending.CANCELLED
    assert any("after_execute was cut off" in problem for problem in outcome.problems)
    assert trio.current_time() == (6.0 if stubborn else 5.0)
    assert len(outcome.abandoned) == stubborn
    release.set()


async def test_optios_cancel_during_after_execute_leaves_it_its_grace_only(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()

    async def after(hook_ctx: HookContext) -> None:
        await trio.sleep(10)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=writing("DONE"), after_execute=after)
    assert outcome.ending is Ending.DONE
    assert trio.current_time() == 15.0


async def test_the_callers_cancel_leaves_after_execute_its_grace_only(autojump_clock: Clock) -> None:
    with trio.CancelScope() as scope:

        async def after(hook_ctx: HookContext) -> None:
            scope.cancel()
            await trio.sleep_forever()

        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=after
        )
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert trio.current_time() == 5.0


async def test_a_timeout_of_after_execute_s_own_is_not_taken_for_ours(autojump_clock: Clock) -> None:
    async def after(hook_ctx: HookContext) -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError):
        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=after
        )


async def test_a_cancel_during_after_execute_lets_it_finish_and_is_not_lost(autojump_clock: Clock) -> None:
    ran = []
    with trio.CancelScope() as scope:

        async def after(hook_ctx: HookContext) -> None:
            scope.cancel()
            await trio.sleep(1)
            ran.append("all of it")

        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=after
        )
        await trio.lowlevel.checkpoint()
        pytest.fail("the cancellation was lost")
    assert ran == ["all of it"]
    assert scope.cancelled_caught


@pytest.mark.parametrize("request_type", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize(
    "place",
    ["prepare", "before_execute", "body", "body's cleanup", "on_deliverable", "in the drain", "on_caller_message",
     "agent_sender", "browser_url_rewrite", "ctx.need_attention", "after_execute", "on_event"],
)  # fmt: skip
async def test_a_request_to_exit_comes_out_as_itself_wherever_it_is_raised(
    place: str, request_type: type[BaseException], autojump_clock: Clock
) -> None:
    request, host, ctx, ran = request_type("exit"), MemoryHost(), RecordingCtx(), []

    async def leave(*args: Any) -> None:
        raise request

    def leave_now(*args: Any) -> Any:
        raise request

    async def slow_leave(*args: Any) -> None:
        await trio.sleep(1)
        raise request

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        if place == "body":
            raise request
        host.deliver("a", "a")
        host.write("CALLER_MESSAGE: k 1", "BROWSER: http://x", "ATTENTION: x")
        if place not in ("on_deliverable", "on_caller_message", "agent_sender", "browser_url_rewrite"):
            host.write("DONE")
        try:
            await trio.sleep_forever()
        finally:
            if place == "body's cleanup":
                raise request

    async def after(hook_ctx: HookContext) -> None:
        ran.append("after")
        if place == "after_execute":
            raise request

    arguments: dict[str, Any] = {"on_caller_message": nothing, "agent_sender": nothing}
    if place in ("prepare", "before_execute", "on_deliverable", "on_caller_message", "agent_sender"):
        arguments[place] = leave
    elif place == "in the drain":
        arguments["on_deliverable"] = slow_leave
    elif place == "browser_url_rewrite":
        arguments[place] = leave_now
    elif place == "ctx.need_attention":
        ctx.need_attention = leave  # type: ignore[method-assign, assignment]
    elif place == "on_event":
        arguments["options"] = SessionOptions(on_event=leave_now)
    with pytest.raises(request_type) as caught:
        await run_log_protocol_session(
            host, ctx, body=body, after_execute=after, protocol=EVERYTHING, **arguments
        )
    assert caught.value is request
    assert ran == ["after"]


def test_a_flood_meets_a_callback_that_asks_for_the_exit() -> None:
    # The queue has ended while the parser still announces: that must not hide the request.
    for seed in range(50):
        request = SystemExit(3)

        async def leave(*args: Any) -> None:
            raise request  # noqa: B023

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            while True:
                host.deliver("a", "")
                await trio.lowlevel.checkpoint()

        async def session() -> None:
            with pytest.raises(SystemExit) as caught:
                await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, on_deliverable=leave)
            assert caught.value is request  # noqa: B023

        run_seeded(session, seed=seed)


async def test_the_body_s_crash_is_not_lost_when_the_caller_cancels() -> None:
    outcomes: list[SessionOutcome] = []

    def observe(event: SessionEvent) -> None:
        if hasattr(event, "outcome"):
            outcomes.append(event.outcome)

    with trio.CancelScope() as scope:

        async def body(*args: Any) -> None:
            scope.cancel()
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("in the cleanup")

        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=body, options=SessionOptions(on_event=observe)
        )
    assert scope.cancelled_caught
    assert any("in the cleanup" in problem for problem in outcomes[0].problems)


async def test_an_infrastructure_failure_in_the_drain_does_not_hide_the_error(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("ERROR: the agent's own")
        await trio.sleep_forever()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError(5, "the disk")

    host.open_deliverable = broken  # type: ignore[method-assign]
    with pytest.raises(SessionFailed, match="the agent's own") as caught:
        await run_log_protocol_session(host, RecordingCtx(), body=body)
    assert caught.value.outcome.ending is Ending.ERROR
    assert "the disk" in "".join(caught.value.__notes__)


async def test_an_infrastructure_failure_cancels_the_body_at_once(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        await trio.sleep_forever()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError(5, "the disk")

    host.open_deliverable = broken  # type: ignore[method-assign]
    with pytest.raises(SessionFailed, match="fetcher failed: OSError"):
        await run_log_protocol_session(host, RecordingCtx(), body=body)
    assert trio.current_time() == 0.0


async def test_a_ctx_that_cannot_say_whether_to_continue_fails_the_session(autojump_clock: Clock) -> None:
    class Broken:
        def report_progress(self, percent: float | None, message: str | None = None) -> None:
            pass

        def should_continue(self) -> bool:
            if trio.current_time() > 1:
                raise ConnectionError("no database")
            return True

    with pytest.raises(SessionFailed, match="watch failed: ConnectionError"), trio.fail_after(1000):
        await run_log_protocol_session(MemoryHost(), Broken(), body=for_ever)


# What is left, what is told.


async def test_copies_of_deliverables_are_freed_when_a_later_one_cannot_be_read(
    autojump_clock: Clock,
) -> None:
    host, opened = MemoryHost(), []
    real = DeliverableFile.__init__

    def noting(self: DeliverableFile, path: str) -> None:
        real(self, path)
        opened.append(self)
        if path == "b":
            raise OSError(5, "Input/output error")

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "x")
        host.deliver("b", "x")
        await trio.sleep_forever()

    async def on_file(hook_ctx: HookContext, file: DeliverableFile) -> None:
        pass

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SessionFailed, match="Input/output error"):
        patch.setattr(DeliverableFile, "__init__", noting)
        await run_log_protocol_session(host, RecordingCtx(), body=body, on_deliverable_file=on_file)
    with pytest.raises(ValueError, match="closed"):
        await opened[0].read()
    opened[1].close()


async def test_the_outcome_tells_everything(autojump_clock: Clock) -> None:
    host, ctx = MemoryHost(), RecordingCtx()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str | None:
        await trio.sleep(1)
        return "again" if path == "b" else None

    async def slow(*args: Any) -> None:
        await trio.sleep(2)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        await trio.sleep(3)
        host.deliver("a", "text")
        host.deliver("b", "")
        host.write("CLIENT_MESSAGE: k 1", "DONE: it is finished")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        host,
        ctx,
        body=body,
        prepare=slow,
        after_execute=slow,
        on_deliverable=on_deliverable,
        protocol=get_protocol(client_messages=True),
    )
    assert (outcome.ending, outcome.message) == (Ending.DONE, "it is finished")
    first, second = outcome.deliverables
    assert (first.path, first.accepted, first.reply, first.size) == ("a", True, "accepted", 4)
    assert first.sha256 is not None
    assert (second.path, second.accepted, second.reply) == ("b", False, "again")
    assert outcome.rejected == (second,)
    assert outcome.deliverable_count == 2
    assert (outcome.lines, outcome.cut_lines, outcome.lost_bytes, outcome.unsettled) == (4, 0, 0, 0)
    timings = outcome.timings
    assert (timings.setup, timings.run, timings.drain, timings.teardown) == (2.0, 3.0, 2.0, 2.0)


async def test_an_idle_session_takes_no_step(autojump_clock: Clock) -> None:
    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += 1

    steps = Steps()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        await trio.sleep(1)
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(3600)
        trio.lowlevel.remove_instrument(steps)
        host.write("DONE")

    await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body)
    assert steps.count <= 2, "the body's own"


# The same facts, the same outcome.


@pytest.mark.parametrize("crash_after", [0, 0.001, 0.005, 1])
def test_done_then_a_crash_is_done_under_every_schedule(crash_after: float) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")
        if crash_after:
            await trio.sleep(crash_after)
        raise RuntimeError("crash")

    endings = set()
    for seed in range(50):

        async def session() -> SessionOutcome:
            return await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body)

        outcome = run_seeded(session, seed=seed)
        endings.add((outcome.ending, len(outcome.deliverables), outcome.problems))
    ((ending, deliverables, problems),) = endings
    assert (ending, deliverables) == (Ending.DONE, 1)
    assert problems == (() if crash_after else ("Also raised: RuntimeError('crash')",))


@pytest.mark.parametrize("last", ["DONE", "ERROR: x", None])
@pytest.mark.parametrize("crash", [False, True])
def test_the_same_facts_give_the_same_outcome_under_every_schedule(last: str | None, crash: bool) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*["STATUS: 1% x"] * 20)
        host.deliver("a", "")
        await trio.lowlevel.checkpoint()
        host.write("ATTENTION: y", *([last] if last else []), "STATUS: 2% z")
        if crash:
            raise RuntimeError("crash")

    seen = set()
    for seed in range(50):
        ctx = RecordingCtx()

        async def session() -> Any:
            try:
                outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body)  # noqa: B023
            except SessionFailed as failed:
                return failed.outcome.ending, str(failed), len(failed.outcome.deliverables)
            except RuntimeError as error:
                return repr(error)
            return outcome.ending, outcome.message, len(outcome.deliverables)

        result = run_seeded(session, seed=seed)
        seen.add((result, len(ctx.of("attention"))))
    assert len(seen) == 1, seen


async def test_a_request_to_exit_waits_for_no_callback(autojump_clock: Clock) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        await trio.testing.wait_all_tasks_blocked()
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, on_deliverable=for_ever)
    assert trio.current_time() == 0.0


async def test_a_cancelled_session_still_says_how_long_it_ran(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()

    async def body(*args: Any) -> None:
        await trio.sleep(3)
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body)
    assert outcome.timings.run == 3.0


async def test_no_time_to_drain_is_enough_where_nothing_waits() -> None:
    outcome = await run_log_protocol_session(
        MemoryHost(), RecordingCtx(), body=writing("DONE"), options=SessionOptions(drain_timeout=0)
    )
    assert outcome.ending is Ending.DONE


async def test_a_flood_leaves_no_file_behind_when_it_is_cancelled(autojump_clock: Clock) -> None:
    ctx = RecordingCtx()
    before = len(os.listdir("/proc/self/fd"))

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*[f'CALLER_MESSAGE: k "{"x" * 8000}"'] * 200)
        await trio.sleep(10)
        assert before < len(os.listdir("/proc/self/fd")) < before + 4, "the queue goes on in files"
        ctx.cancellation_flag.set()
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        MemoryHost(), ctx, body=body, protocol=EVERYTHING, on_caller_message=for_ever
    )
    assert outcome.unsettled == 200
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("steps", range(4))
def test_a_crash_at_the_very_moment_of_the_caller_s_cancel_is_told_under_every_schedule(steps: int) -> None:
    for seed in range(50):
        outcomes: list[SessionOutcome] = []

        def observe(event: SessionEvent) -> None:
            if hasattr(event, "outcome"):
                outcomes.append(event.outcome)  # noqa: B023

        async def session() -> None:
            crashing = trio.Event()

            async def body(*args: Any) -> None:
                crashing.set()
                raise ValueError("in the end")

            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def cancel() -> None:
                    await crashing.wait()
                    for _ in range(steps):
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()

                with suppress(ValueError):
                    await run_log_protocol_session(
                        MemoryHost(), RecordingCtx(), body=body, options=SessionOptions(on_event=observe)
                    )

        run_seeded(session, seed=seed)
        assert "in the end" in f"{outcomes[0].message}{outcomes[0].problems}", seed


async def test_a_lane_that_only_refuses_keeps_nobody_from_working() -> None:
    class OnlyProgress:
        count = 0

        def report_progress(self, percent: float | None, message: str | None = None) -> None:
            self.count += 1

    ctx, most = OnlyProgress(), 0

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        nonlocal most
        host.write(*["BROWSER: http://x"] * 2000)
        while ctx.count < 2000:
            before = ctx.count
            await trio.lowlevel.checkpoint()
            most = max(most, ctx.count - before)
        host.write("DONE")

    await run_log_protocol_session(MemoryHost(), ctx, body=body, protocol=get_protocol(browser="redirect"))
    assert most <= 64
