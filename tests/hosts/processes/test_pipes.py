"""A program's output as lines and its input as a writer, over in-memory streams."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, strategies as st
from trio.testing import memory_stream_one_way_pair, trio_test

from optio_agents.hosts.processes import pipes
from optio_agents.hosts.processes.pipes import InputWriter, OutputLines


@given(st.lists(st.binary(min_size=1, max_size=8) | st.just(b"\n"), max_size=20))
def test_any_chunking_gives_the_same_lines(chunks: list[bytes]) -> None:
    @trio_test
    async def main() -> None:
        sender, receiver = memory_stream_one_way_pair()

        async def send() -> None:
            async with sender:
                for chunk in chunks:
                    await sender.send_all(chunk)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            lines = [line async for line in OutputLines(receiver)]
        assert lines == b"".join(chunks).splitlines(keepends=True) or b"\r" in b"".join(chunks)
        assert b"".join(lines) == b"".join(chunks)
        assert all(line.endswith(b"\n") for line in lines[:-1])

    main()


async def test_a_line_that_never_ends_is_handed_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "OUTPUT_LIMIT", 100)
    sender, receiver = memory_stream_one_way_pair()
    await sender.send_all(b"x" * 101)
    assert await anext(OutputLines(receiver)) == b"x" * 101


async def test_a_stream_closed_from_our_side_ends_the_lines() -> None:
    _, receiver = memory_stream_one_way_pair()
    await receiver.aclose()
    assert [line async for line in OutputLines(receiver)] == []


async def test_what_was_written_is_sent_by_draining_and_by_closing() -> None:
    sender, receiver = memory_stream_one_way_pair()
    writer = InputWriter(sender)
    writer.write(b"one ")
    await writer.drain()
    writer.write(b"two")
    writer.close()
    with pytest.raises(BrokenPipeError):
        writer.write(b"late")
    await writer.wait_closed()
    await writer.wait_closed()
    assert b"".join([data async for data in receiver]) == b"one two"


async def test_a_program_that_reads_no_more_is_a_broken_pipe() -> None:
    sender, receiver = memory_stream_one_way_pair()
    writer = InputWriter(sender)
    await receiver.aclose()
    writer.write(b"x")
    with pytest.raises(BrokenPipeError):
        await writer.drain()
