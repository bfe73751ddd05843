"""Faults of the log, of the ctx, and of single lines, in memory and in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from actors.testing import run_seeded
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.hosts.base import LogLost
from optio_agents.protocol.session import (
    Ending,
    SessionFailed,
    SessionOptions,
    SessionOutcome,
)
from optio_agents.session.events import LineHinted, ProgressReported, SessionEvent
from tests.support.bodies import for_ever, writing
from tests.support.session import MemoryHost, RecordingCtx

Clock = trio.testing.MockClock


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
