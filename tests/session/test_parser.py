"""From windows of the log to effects, without a task and without a clock that runs."""

from __future__ import annotations

from math import inf

import pytest
import trio
from trio.testing import MockClock

from optio_agents import get_protocol
from optio_agents.hosts.base import LINE_LIMIT
from optio_agents.session.events import (
    AttentionAsked,
    BrowserAsked,
    CallerMessage,
    ClientMessage,
    LineHinted,
    ProblemReported,
)
from optio_agents.session.parser import HINT_LINES, HINT_WINDOW, SLICE, ends_session
from optio_agents.session.reading import Signal
from optio_agents.session.verdict import DoneSeen, ErrorSeen, LogEnded
from tests.support.session_parts import EVERYTHING, ParserParts


async def test_a_line_of_progress_is_reported_and_the_cursor_moves_on() -> None:
    parts = ParserParts()
    parts.read("STATUS: 40% working\n")
    parts.read("plain text\n")
    assert parts.ctx.of("progress") == [(40, "working"), (None, "plain text")]
    assert parts.cursor.position.offset == parts.offset
    assert parts.recorder.lines == 2
    assert parts.cursor.due == inf


async def test_a_blank_line_by_itself_is_no_line_and_is_passed() -> None:
    parts = ParserParts()
    parts.read("\n")
    parts.read("  \n")
    assert (parts.recorder.lines, parts.ctx.calls) == (0, [])
    assert parts.cursor.position.offset == parts.offset


async def test_a_near_miss_by_itself_is_hinted() -> None:
    """The window of one line takes a path of its own."""
    parts = ParserParts()
    parts.read("done\n")
    assert len(parts.hints) == 1
    assert "DONE" in parts.hints[0]
    assert parts.events[-1] == LineHinted("done", parts.hints[0])
    assert parts.ctx.messages == ["done"]
    assert parts.cursor.position.offset == parts.offset
    parts.read("done\n")
    assert len(parts.hints) == 1, "one hint is enough"
    assert parts.ctx.messages == ["done", "done"]


async def test_a_near_miss_among_other_lines_is_hinted() -> None:
    parts = ParserParts()
    parts.read("STATUS: 1% x\nhello\nerror: no disk\nhello\n")
    assert len(parts.hints) == 1
    assert "ERROR" in parts.hints[0]


async def test_a_hint_without_room_in_the_channel_is_given_at_the_next_slip() -> None:
    parts = ParserParts()
    parts.has_channel_room = False
    parts.read("done\n")
    assert not any(isinstance(each, LineHinted) for each in parts.events)
    parts.has_channel_room = True
    parts.read("plain text\nmore\n")
    assert parts.hints == [], "it belongs to a line that is no longer the last"
    parts.read("done\n")
    assert len(parts.hints) == 1


@pytest.mark.parametrize(
    ("before", "after", "is_hinted"),
    [
        ("x\n" * (HINT_LINES - 1), "y\n" * 9, True),
        ("x\n" * HINT_LINES, "y\n" * 9, False),
        ("x\n" * HINT_LINES, "", True),
        ("x" * HINT_WINDOW + "\n", "", True),
        ("", "x" * HINT_WINDOW + "\n", False),
    ],
)
async def test_of_a_flood_the_first_lines_and_the_last_are_looked_at(
    before: str, after: str, is_hinted: bool
) -> None:
    parts = ParserParts()
    parts.read(f"{before}done\n{after}")
    while parts.cursor.is_unfinished:
        parts.parser.handle(Signal.GO_ON)
    assert bool(parts.hints) is is_hinted


async def test_each_kind_goes_to_its_queue_and_to_the_observer() -> None:
    parts = ParserParts()
    parts.read(
        'DELIVERABLE: deliverables/a\nCALLER_MESSAGE: k [1]\nCLIENT_MESSAGE: c {"x": 1}\n'
        'BROWSER: "https://x"\nATTENTION: look\n'
    )
    calls = parts.queues.context_calls
    assert parts.queues.deliverables.take(9) == ["deliverables/a"]
    assert parts.queues.callers.take(9) == [("[1]", ["k"])]
    assert calls["CLIENT_MESSAGE"].take(9) == [["c", '{"x": 1}']]
    assert calls["BROWSER"].take(9) == [["https://x"]]
    assert calls["ATTENTION"].take(9) == [["look"]]
    assert parts.ctx.messages == ["Deliverable: a"]
    assert parts.events[1:] == [
        CallerMessage("k", [1]),
        ClientMessage("c", {"x": 1}),
        BrowserAsked("https://x"),
        AttentionAsked("look"),
    ]
    assert parts.started == list(parts.queues.all())
    assert parts.recorder.lines == 5


async def test_calls_of_the_ctx_keep_their_place_in_the_log() -> None:
    parts = ParserParts()
    parts.read('ATTENTION: first\nBROWSER: "second"\n')
    order = parts.queues.order
    with trio.move_on_after(0) as waiting:
        await order.turn("BROWSER")
    assert waiting.cancelled_caught
    order.settle("ATTENTION")
    await order.turn("BROWSER")


async def test_a_worker_is_started_for_the_queues_that_need_one() -> None:
    parts = ParserParts()
    parts.read("hello\nATTENTION: look\n")
    assert parts.started == [parts.queues.context_calls["ATTENTION"]]


async def test_a_path_outside_is_queued_without_progress() -> None:
    parts = ParserParts()
    parts.read("DELIVERABLE: ../../etc/passwd\n")
    assert parts.ctx.calls == []
    assert parts.queues.deliverables.take(9) == ["../../etc/passwd"]


async def test_done_is_the_last_line_that_counts(autojump_clock: MockClock) -> None:
    parts = ParserParts()
    parts.read("x\n" * 40 + "DONE: all of it\nATTENTION: late\nDONE\n")
    assert parts.facts == [DoneSeen("all of it")]
    assert parts.ctx.messages[-2:] == ["x", "all of it"], "held-back progress comes before the summary"
    assert parts.cursor.is_over
    assert parts.cursor.needs_the_tailer
    parts.read("STATUS: 1% late\n")
    parts.parser.handle(Signal.LOG_ENDED)
    assert parts.facts == [DoneSeen("all of it")]
    assert parts.ctx.messages[-1] == "all of it"
    assert parts.started == []


async def test_a_bare_done_says_nothing() -> None:
    parts = ParserParts()
    parts.read("DONE\n")
    assert parts.facts == [DoneSeen(None)]
    assert parts.ctx.calls == []


async def test_error_is_told_with_a_message_that_is_safe_to_show() -> None:
    parts = ParserParts()
    parts.read("x\n" * 40 + "ERROR: no\x1b[31m disk\n")
    (fact,) = parts.facts
    assert isinstance(fact, ErrorSeen)
    assert fact.message is not None
    assert "no" in fact.message
    assert "\x1b" not in fact.message
    assert parts.ctx.messages[-1] == "x", "held-back progress is not lost"


async def test_the_end_of_the_log_gives_out_what_was_held_back(autojump_clock: MockClock) -> None:
    parts = ParserParts()
    for number in range(40):
        parts.read(f"line {number}\n")
    assert parts.cursor.due < inf
    assert parts.ctx.messages[-1] != "line 39"
    parts.parser.handle(Signal.LOG_ENDED)
    assert parts.ctx.messages[-1] == "line 39"
    assert parts.facts == [LogEnded()]
    assert parts.cursor.due == inf


async def test_a_flush_gives_out_what_was_held_back_and_is_no_fact(autojump_clock: MockClock) -> None:
    parts = ParserParts()
    for number in range(40):
        parts.read(f"line {number}\n")
    parts.parser.handle(Signal.FLUSH)
    assert parts.ctx.messages[-1] == "line 39"
    assert parts.facts == []


async def test_many_events_are_taken_in_slices_and_the_position_moves_after_the_last() -> None:
    """A restarted tailer reads from the position: half a window must not count as handled."""
    parts = ParserParts()
    parts.read("ATTENTION: x\n" * (2 * SLICE + 1))
    taken = []
    while parts.cursor.is_unfinished:
        assert parts.cursor.position.offset == 0
        taken.append(parts.recorder.lines)
        parts.parser.handle(Signal.GO_ON)
    assert taken == [SLICE, 2 * SLICE]
    assert parts.recorder.lines == 2 * SLICE + 1
    assert parts.cursor.position.offset == parts.offset
    parts.parser.handle(Signal.GO_ON)
    assert parts.recorder.lines == 2 * SLICE + 1


async def test_every_line_is_reported_in_slices_too() -> None:
    parts = ParserParts(every=True)
    parts.read("".join(f"line {number}\n" for number in range(400)))
    pieces = 1
    while parts.cursor.is_unfinished:
        pieces += 1
        parts.parser.handle(Signal.GO_ON)
    assert parts.ctx.messages == [f"line {number}" for number in range(400)]
    assert 3 <= pieces <= 5
    assert parts.recorder.lines == 400


async def test_a_queue_that_fills_asks_the_tailer_to_wait_until_it_has_recovered() -> None:
    parts = ParserParts()
    queue = parts.queues.context_calls["ATTENTION"]
    while not queue.spool.is_over_high_water:
        assert not parts.cursor.needs_room
        parts.read(f"ATTENTION: {'x' * 9000}\n" * 4)
    parts.read("ATTENTION: x\n")
    assert parts.cursor.needs_room
    while queue.take(1):
        pass
    parts.read("ATTENTION: x\n")
    assert not parts.cursor.needs_room
    assert not parts.cursor.needs_the_tailer


async def test_what_is_missing_from_the_log_is_a_problem_on_record() -> None:
    parts = ParserParts()
    parts.read("one\n", lost=7)
    parts.read("two\n", cut=1)
    parts.read("three\n", growing=True)
    assert (parts.recorder.lost_bytes, parts.recorder.cut_lines) == (7, 1)
    problems = [each.text for each in parts.events if isinstance(each, ProblemReported)]
    assert len(problems) == 2
    assert "7 bytes" in problems[0]
    assert "still being written" in problems[1]
    assert parts.recorder.lines == 3


async def test_messages_to_the_caller_are_not_decoded_for_an_observer_that_is_not_there() -> None:
    parts = ParserParts()
    parts.recorder._observe = None
    parts.read("CALLER_MESSAGE: k 1\nCALLER_MESSAGE: k 2\n")
    assert parts.events == []
    assert len(parts.queues.callers.spool) == 2
    assert parts.recorder.lines == 2


async def test_room_waits_for_the_queues_that_are_full(autojump_clock: MockClock) -> None:
    parts = ParserParts()
    queue = parts.queues.context_calls["BROWSER"]
    start = trio.current_time()
    await parts.queues.room()
    assert trio.current_time() == start
    while not queue.spool.is_over_high_water:
        queue.put(["x"], 100_000)
    await parts.queues.room()
    assert trio.current_time() > start, "a queue that does not move is waited for once"


@pytest.mark.parametrize(
    ("partial", "is_end"),
    [
        (b"DONE", True),
        (b"ERROR: no disk", True),
        (b"DONE: " + b"x" * 2 * LINE_LIMIT, True),
        (b"DON", False),
        (b"STATUS: 1% x", False),
        (b"\xff\xfe", False),
    ],
)
def test_an_unterminated_line_ends_the_session_if_it_is_done_or_error(partial: bytes, is_end: bool) -> None:
    assert ends_session(EVERYTHING.features, partial) is is_end


async def test_a_keyword_that_is_off_is_plain_text() -> None:
    parts = ParserParts(protocol=get_protocol())
    parts.read("CLIENT_MESSAGE: k 1\n")
    assert parts.ctx.messages == ["CLIENT_MESSAGE: k 1"]
    assert parts.started == []
