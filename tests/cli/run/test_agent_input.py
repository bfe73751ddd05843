import os

import pytest
import trio
import trio.testing

from optio_agents.cli.run.agent_input import AgentInput, AgentNotListening

PIPE = 65_536  # what a Linux pipe holds by default


async def read(inbox: AgentInput, count: int) -> bytes:
    data = b""
    while len(data) < count:
        await trio.lowlevel.wait_readable(inbox.reader)
        data += os.read(inbox.reader, count - len(data))
    return data


async def test_each_message_is_one_line() -> None:
    inbox = AgentInput(patience=1)
    await inbox.send("one\ntwo\r\nthree\u2028four")
    await inbox.send("ünï \ud800")
    expected = "one two three four\nünï ?\n".encode()
    assert await read(inbox, len(expected)) == expected
    await inbox.close()


async def test_an_agent_that_does_not_read_is_waited_for_once(autojump_clock: trio.testing.MockClock) -> None:
    inbox = AgentInput(patience=5)
    await inbox.send("x" * (PIPE - 1))
    began = trio.current_time()
    for _ in range(100):
        with pytest.raises(AgentNotListening, match="does not read"):
            await inbox.send("lost")
    assert trio.current_time() - began == 5
    await read(inbox, PIPE)
    await inbox.send("heard")
    assert await read(inbox, 6) == b"heard\n"
    await inbox.close()


async def test_a_message_cut_off_half_way_is_completed_before_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    inbox = AgentInput(patience=5)
    with pytest.raises(AgentNotListening):
        await inbox.send("x" * (PIPE + 10))
    assert await read(inbox, PIPE) == b"x" * PIPE
    await inbox.send("next")
    assert await read(inbox, 16) == b"x" * 10 + b"\nnext\n"
    await inbox.close()


async def test_messages_of_several_tasks_are_not_mixed() -> None:
    inbox = AgentInput(patience=60)
    async with trio.open_nursery() as nursery:
        for letter in "abc":
            nursery.start_soon(inbox.send, letter * PIPE)
        lines = (await read(inbox, 3 * (PIPE + 1))).split(b"\n")
    assert sorted(lines) == [b""] + [letter * PIPE for letter in (b"a", b"b", b"c")]
    await inbox.close()


async def test_an_agent_that_closed_its_input_is_not_listening() -> None:
    inbox = AgentInput(patience=60)
    inbox.close_reader()
    with pytest.raises(AgentNotListening, match="closed its input"):
        await inbox.send("x")
    await inbox.close()


async def test_closing_ends_a_send_that_waits() -> None:
    inbox = AgentInput(patience=60)
    keep = os.dup(inbox.reader)
    await inbox.send("x" * (PIPE - 1))
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def sender() -> None:
            with pytest.raises(AgentNotListening):
                await inbox.send("y")

        await trio.testing.wait_all_tasks_blocked()
        await inbox.close()
    with pytest.raises(AgentNotListening):
        await inbox.send("z")
    await inbox.close()
    os.close(keep)
