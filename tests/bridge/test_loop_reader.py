"""Descriptors of ours in a loop to which other code does what it should not."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVarTuple

import pytest
import uvloop

from optio_agents.bridge.loop_reader import LoopReader

HANG = 60.0
Ts = TypeVarTuple("Ts")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop: asyncio.AbstractEventLoop = request.param()
    yield loop
    loop.close()


class Pipe:
    """A pipe whose reading end is watched: `await seen()` for what was written to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, numbers: tuple[int, int] | None = None) -> None:
        self.read, self.write = numbers or os.pipe()
        self.loop = loop
        self.closed: list[str] = []
        self._read: list[bytes] = []
        self._arrived = asyncio.Event()
        self.reader = LoopReader(loop, self.read, self._readable, lambda: self.closed.append("closed"))

    def _readable(self) -> None:
        self._read.append(os.read(self.read, 100))
        self._arrived.set()

    async def seen(self, data: bytes) -> None:
        os.write(self.write, data)
        async with asyncio.timeout(HANG):
            while b"".join(self._read) != data:
                self._arrived.clear()
                await self._arrived.wait()
        self._read.clear()

    def close(self) -> None:
        self.reader.close()
        os.close(self.read)
        os.close(self.write)


def test_it_is_called_while_there_is_something_to_read(loop: asyncio.AbstractEventLoop) -> None:
    async def program() -> None:
        pipe = Pipe(loop)
        await pipe.seen(b"once")
        await pipe.seen(b"twice")
        pipe.close()
        pipe.reader.close()
        assert not loop.remove_reader(pipe.read)

    loop.run_until_complete(program())


@pytest.mark.parametrize("kind", ["reader", "writer", "both"])
def test_a_watch_that_was_left_of_a_closed_socket_does_not_hide_ours(
    loop: asyncio.AbstractEventLoop, kind: str
) -> None:
    async def program() -> None:
        left = socket.socketpair()
        for each in left:
            if kind != "writer":
                loop.add_reader(each.fileno(), lambda: None)
            if kind != "reader":
                loop.add_writer(each.fileno(), lambda: None)
        await asyncio.sleep(0)
        numbers = {each.fileno() for each in left}
        for each in left:
            each.close()
        pipe = Pipe(loop)
        assert pipe.read in numbers, "the kernel gives the lowest number that is free"
        await pipe.seen(b"seen")
        pipe.close()

    loop.run_until_complete(program())


def test_a_reader_that_others_remove_or_replace_is_added_again(loop: asyncio.AbstractEventLoop) -> None:
    async def program() -> None:
        pipe = Pipe(loop)
        loop.remove_reader(pipe.read)
        await pipe.seen(b"after a removal")
        loop.add_reader(pipe.read, lambda: None)
        await pipe.seen(b"after a replacement")
        loop.remove_reader(pipe.read)
        pipe.close()  # before it could be added again
        await asyncio.sleep(0)
        assert not loop.remove_reader(pipe.read)
        assert pipe.closed == []

    loop.run_until_complete(program())


def test_the_end_of_the_loop_is_noticed_once(loop: asyncio.AbstractEventLoop) -> None:
    async def program() -> Pipe:
        return Pipe(loop)

    pipe = loop.run_until_complete(program())
    loop.close()
    assert pipe.closed == ["closed"]
    pipe.close()


def test_the_end_of_the_loop_is_noticed_right_after_a_removal(loop: asyncio.AbstractEventLoop) -> None:
    async def program() -> Pipe:
        pipe = Pipe(loop)
        loop.remove_reader(pipe.read)
        return pipe

    pipe = loop.run_until_complete(program())
    loop.close()
    assert pipe.closed == ["closed"]
    pipe.close()


class Refusing(asyncio.SelectorEventLoop):
    """A loop that has no space for a watch, as often as told."""

    refusals = 0

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        super().add_reader(fd, callback, *args)


def test_a_loop_that_refuses_says_so_and_nothing_is_left() -> None:
    with asyncio.Runner(loop_factory=Refusing) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Refusing)
        unhandled: list[Any] = []
        loop.set_exception_handler(lambda _, context: unhandled.append(context))

        async def program() -> None:
            loop.refusals = 1
            numbers = os.pipe()
            with pytest.raises(OSError, match="No space left"):
                Pipe(loop, numbers)
            pipe = Pipe(loop, numbers)
            loop.refusals = 1
            loop.remove_reader(pipe.read)
            await pipe.seen(b"at the second attempt")
            pipe.close()

        runner.run(program())
        assert [str(context["message"]).split(maxsplit=2)[2] for context in unhandled] == [
            "cannot be watched again"
        ]
