"""Framing against a model of one regular expression; then the numbers: limits, memory, offsets."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st

from optio_agents.hosts.base import LINE_LIMIT, WINDOW_LIMIT
from optio_agents.hosts.log.framer import CUT_MARK, Frame, Framer

ENDS = re.compile(rb"\r\n|\r|\n")

text = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from([b"\n", b"\r", b"\r\n", b"DONE", "ü€😀".encode()]),
        st.sampled_from([LINE_LIMIT - 1, LINE_LIMIT, LINE_LIMIT + 1, WINDOW_LIMIT]).map(
            lambda size: b"x" * size
        ),
    ),
    max_size=12,
).map(b"".join)
cuts = st.lists(st.integers(1, 2 * WINDOW_LIMIT) | st.integers(1, 5), min_size=1, max_size=12)


def in_chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut up `data`, going through `sizes` again and again, at most a few hundred times."""
    chunks: list[bytes] = []
    while data and len(chunks) < 300:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data] if data else chunks


def expected_line(line: bytes) -> bytes:
    """What is to become of a line."""
    if len(line) <= LINE_LIMIT:
        return line
    head = line[: LINE_LIMIT - len(CUT_MARK)]
    for back in range(4):  # not into the middle of a character
        if line[len(head) - back] not in range(0x80, 0xC0):
            return head[: len(head) - back] + CUT_MARK
    return head[:-3] + CUT_MARK


@given(text, cuts)
@settings(deadline=None)
def test_any_chunking_gives_the_same_lines_and_accounts_for_every_byte(data: bytes, sizes: list[int]) -> None:
    framer = Framer()
    frames: list[Frame] = []
    fed = 0
    for chunk in in_chunks(data, sizes):
        frames += framer.feed(chunk)
        fed += len(chunk)
        assert sum(frame.size for frame in frames) + framer.held == fed
    if (last := framer.flush()) is not None:
        frames.append(last)

    lines = ENDS.split(data)
    if not lines[-1]:
        lines.pop()
    assert b"".join(frame.data for frame in frames) == b"".join(expected_line(line) + b"\n" for line in lines)
    assert sum(frame.size for frame in frames) == len(data)
    assert sum(frame.cut for frame in frames) == sum(len(line) > LINE_LIMIT for line in lines)
    assert all(len(frame.data) <= WINDOW_LIMIT for frame in frames)
    assert all(frame.data.endswith(b"\n") for frame in frames if frame.data)


@given(text, cuts, st.integers(0, 100))
@settings(deadline=None)
def test_a_framer_that_resumes_behind_any_frame_goes_on_as_the_first_one_would(
    data: bytes, sizes: list[int], where: int
) -> None:
    first = Framer()
    frames = [frame for chunk in in_chunks(data, sizes) for frame in first.feed(chunk)]
    kept = frames[: where % (len(frames) + 1)]
    offset = sum(frame.size for frame in kept)
    second = Framer(data[:offset])
    resumed = second.feed(data[offset:])
    assert b"".join(f.data for f in kept + resumed) == b"".join(f.data for f in frames)
    assert second.partial == first.partial


@given(
    text, text, st.lists(st.sampled_from([b"STATUS: 1% x\n", b"\n", b"x", b"\r"]), max_size=4).map(b"".join)
)
@settings(deadline=None)
def test_what_passes_would_be_one_frame_of_the_same_bytes(before: bytes, more: bytes, lines: bytes) -> None:
    framer, other = Framer(), Framer()
    framer.feed(before)
    other.feed(before)
    if framer.passes(lines):
        assert framer.feed(lines) == [Frame(lines, len(lines))]
    else:
        other.feed(lines)
        framer.feed(lines)
    assert (framer.feed(more), framer.partial, framer.held) == (other.feed(more), other.partial, other.held)


def test_a_whole_line_passes_until_something_is_left_over() -> None:
    framer = Framer()
    assert framer.passes(b"STATUS: at work\n")
    framer.feed(b"torn")
    assert not framer.passes(b" line\n")


@given(text, cuts)
@settings(deadline=None)
def test_feeding_the_unterminated_line_again_changes_nothing(data: bytes, sizes: list[int]) -> None:
    """What the local reader does: it forgets the tail and reads it again with what follows."""
    framer = Framer()
    frames: list[Frame] = []
    offset = end = 0
    for chunk in in_chunks(data, sizes):
        framer.unread()
        start = end if framer.skipping else offset
        end += len(chunk)
        new = framer.feed(data[:end], start)
        offset += sum(frame.size for frame in new)
        frames += new
    plain = Framer()
    whole = plain.feed(data)
    assert b"".join(frame.data for frame in frames) == b"".join(frame.data for frame in whole)
    assert framer.partial == plain.partial


def test_a_carriage_return_ends_its_line_at_once_and_swallows_the_newline_behind_it() -> None:
    framer = Framer()
    assert framer.feed(b"10%\r") == [Frame(b"10%\n", 4)]
    assert framer.feed(b"\n") == [Frame(b"", 1)]
    assert framer.feed(b"\nnext\n") == [Frame(b"\nnext\n", 6)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_line_handed_out_without_its_end_is_completed_by_the_end_that_comes_later(end: bytes) -> None:
    framer = Framer()
    assert framer.feed(b"DONE") == []
    assert framer.flush() == Frame(b"DONE\n", 4)
    assert b"".join(frame.data for frame in framer.feed(end + b"next\n")) == b"next\n"


def test_a_line_of_one_gibibyte_is_skipped_in_flat_memory() -> None:
    """The source is made up as it is read; the framer may keep the head of the line and no more."""
    framer = Framer()
    piece = b"x" * WINDOW_LIMIT
    pieces = (1 << 30) // WINDOW_LIMIT
    for _ in range(pieces):
        assert framer.feed(piece) == []
        assert len(framer._tail) <= LINE_LIMIT
    line, after = framer.feed(b"\nDONE\n")
    assert (line.size, line.cut, len(line.data)) == ((1 << 30) + 1, 1, LINE_LIMIT + 1)
    assert line.data.endswith(CUT_MARK + b"\n")
    assert after == Frame(b"DONE\n", 5)


def test_a_cut_never_parts_a_character() -> None:
    for shift in range(4):
        framer = Framer()
        (frame,) = framer.feed(b"x" * shift + "😀".encode() * (LINE_LIMIT // 4 + 1) + b"\n")
        assert frame.cut == 1
        assert "\N{REPLACEMENT CHARACTER}" not in frame.data.decode(errors="replace")


def test_a_normal_chunk_is_not_copied_more_than_once() -> None:
    """Whole lines and nothing else: the frame's data is the very object that was fed."""
    data = b"STATUS: 50% half way\n" * 1000
    (frame,) = Framer().feed(data)
    assert frame.data is data
