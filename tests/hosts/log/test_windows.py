from __future__ import annotations

from optio_agents.hosts.base import LogPosition, Window
from optio_agents.hosts.log.framer import Frame
from optio_agents.hosts.log.windows import WindowBuilder


def test_each_window_says_where_it_ends_and_what_was_lost_before_it() -> None:
    windows = WindowBuilder(10)
    windows.lost = 3
    windows.add(Frame(b"one\n", 5), b"first")
    windows.add(Frame(b"two\n", 4, cut=1), b"second")
    assert list(windows.ready) == [
        Window(b"one\n", LogPosition(15, b"first"), lost=3),
        Window(b"two\n", LogPosition(19, b"second"), cut=1),
    ]


def test_a_frame_without_lines_moves_the_end_and_keeps_the_loss_for_the_next_window() -> None:
    windows = WindowBuilder(0)
    windows.lost = 3
    windows.add(Frame(b"", 1), b"")
    assert not windows.ready
    windows.add(Frame(b"line\n", 5), b"line")
    assert windows.ready.pop() == Window(b"line\n", LogPosition(6, b"line"), lost=3)


def test_the_end_reports_once_what_no_window_has_counted() -> None:
    windows = WindowBuilder(7)
    windows.lost = 2
    assert windows.last_word(b"end") == Window(b"", LogPosition(7, b"end"), lost=2)
    assert windows.last_word(b"end") is None
    assert windows.last_word(b"end", growing=True) == Window(b"", LogPosition(7, b"end"), growing=True)
