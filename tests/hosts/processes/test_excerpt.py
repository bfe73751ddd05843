"""Output of any size in bounded memory."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from optio_agents.hosts.processes.excerpt import Excerpt


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20)), st.integers(0, 30), st.integers(1, 30))
def test_the_head_and_the_tail_are_kept_and_what_is_left_out_is_counted(
    pieces: list[bytes], head: int, tail: int
) -> None:
    excerpt = Excerpt(head, tail)
    whole = b"".join(pieces).replace(b"\xff", b"x")
    for piece in pieces:
        excerpt.add(piece)
    kept = excerpt.text()
    if not excerpt.omitted:
        assert kept == b"".join(pieces).decode(errors="replace")
    else:
        first, last = kept.split(f"\n[... {excerpt.omitted:,} bytes left out ...]\n")
        assert b"".join(pieces)[:head].decode(errors="replace") == first
        rest = b"".join(pieces)[head + excerpt.omitted :]
        assert rest.decode(errors="replace") == last
        assert tail <= len(rest) < tail + 20
    assert len(whole) >= excerpt.omitted
