"""The end of an agent's output."""

from __future__ import annotations

from optio_agents.task.output import EXCERPT, OutputTail


def test_the_last_bytes_are_kept_and_the_rest_is_counted() -> None:
    tail = OutputTail(10)
    for piece in (b"0123456", b"", b"789", b"abcdefgh", b"X" * 3):
        tail.add(piece)
        assert len(bytes(tail)) <= 10
    assert bytes(tail) == b"bcdefghXXX"
    assert tail.dropped == 11


def test_one_piece_that_is_longer_than_the_limit() -> None:
    tail = OutputTail(4)
    tail.add(b"0123456789")
    assert bytes(tail) == b"6789"


def test_the_excerpt_keeps_lines_and_shows_no_control_sequence() -> None:
    tail = OutputTail(100_000)
    tail.add(b"x" * 50_000 + b"\n\x1b[31mfirst\x1b[0m\nsecond \xff\n\n")
    assert tail.excerpt.endswith("first\nsecond \ufffd")
    assert len(tail.excerpt) <= EXCERPT
