"""The ring of events: numbers, replay, bounds."""

from __future__ import annotations

import json

import pytest

from optio_agents.web.event_log import EVENT_LIMIT, EventLog, FellBehind, event_frame, is_partial


def whole(number: int) -> dict[str, object]:
    return {"type": "assistant", "n": number}


PARTIAL = {"type": "stream_event"}


def test_partial_events_are_live_only() -> None:
    log = EventLog()
    log.append(whole(1))
    position = log.position
    log.append(PARTIAL)
    log.append(whole(2))
    assert [event.number for event in log.replay()] == [1, 2]
    assert [(event.number, event.partial) for event in log.since(position)] == [(1, True), (2, False)]


def test_a_replay_begins_after_the_number_that_was_seen() -> None:
    log = EventLog()
    for number in range(5):
        log.append(whole(number))
    assert [event.number for event in log.replay(after=3)] == [4, 5]
    assert log.replay(after=5) == []
    # A number of another listener's life means nothing here.
    assert len(log.replay(after=99)) == 5


def test_the_replay_and_the_ring_are_bounded() -> None:
    log = EventLog(replay_events=10, ring_bytes=1_000)
    for number in range(1_000):
        log.append(whole(number))
        log.append(PARTIAL)
    assert len(log.replay()) <= 10
    assert sum(len(event.data) for event in log.since(log.position - len(log._ring))) <= 1_000


def test_a_viewer_that_fell_out_of_the_ring_is_told() -> None:
    log = EventLog(ring_bytes=100)
    for number in range(100):
        log.append(whole(number))
    with pytest.raises(FellBehind):
        log.since(0)
    assert log.since(log.position) == []


def test_an_event_that_is_too_large_is_replaced() -> None:
    log = EventLog()
    event = log.append({"type": "assistant", "text": "x" * EVENT_LIMIT})
    assert json.loads(event.data) == {"type": "x-optio-too-large", "of": "assistant"}


def test_a_frame_is_one_line_of_json() -> None:
    event = EventLog().append({"type": "user", "text": "a\nb\r\u2028"})
    frame = event_frame(event)
    assert frame.startswith(b"id: 1\ndata: {")
    assert frame.endswith(b"}\n\n")
    assert frame.count(b"\n") == 3
    assert b"\r" not in frame


@pytest.mark.parametrize(
    ("raw", "partial"),
    [
        ({"type": "stream_event"}, True),
        ({"method": "item/agentMessage/delta"}, True),
        ({"method": "item/reasoning/summaryTextDelta"}, True),
        ({"method": "session/update"}, False),
        ({"type": "assistant"}, False),
        ({"method": 3}, False),
    ],
)
def test_what_is_partial(raw: dict[str, object], partial: bool) -> None:
    assert is_partial(raw) is partial
