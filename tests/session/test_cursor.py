"""Where reading stands, across readers that come and go."""

from __future__ import annotations

from math import inf

import pytest

from optio_agents.hosts.base import LOG_START
from optio_agents.session.cursor import Cursor


class Reader:
    def __init__(self) -> None:
        self.finished = 0

    def finish(self) -> None:
        self.finished += 1

    async def read(self, take: object = None) -> None:
        raise AssertionError("not in these tests")


def test_a_new_cursor_stands_at_the_start_and_waits_for_nothing() -> None:
    cursor = Cursor()
    assert (cursor.position, cursor.due, cursor.needs_the_tailer) == (LOG_START, inf, False)


@pytest.mark.parametrize("reason", ["is_unfinished", "needs_room", "is_over"])
def test_each_reason_wakes_the_tailer(reason: str) -> None:
    cursor = Cursor()
    setattr(cursor, reason, True)
    assert cursor.needs_the_tailer


def test_the_end_reaches_the_reader_that_is_there() -> None:
    cursor, reader = Cursor(), Reader()
    cursor.attach(reader)
    assert reader.finished == 0
    cursor.finish()
    assert reader.finished == 1


def test_the_end_that_comes_while_the_reader_is_away_reaches_the_next_one() -> None:
    cursor, first, second = Cursor(), Reader(), Reader()
    cursor.attach(first)
    cursor.attach(None)
    cursor.finish()
    assert first.finished == 0
    cursor.attach(second)
    assert second.finished == 1
