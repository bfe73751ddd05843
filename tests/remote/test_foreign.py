"""Hosts that are nothing but a few methods: test doubles of wrapper packages, mostly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import optio_host.host
import pytest
import trio
from trio.testing import MockClock

from optio_agents.bridge import Boundary, TrioBoundary, run_in_trio
from optio_agents.hosts.adapt import adapt_host
from optio_agents.hosts.base import LOG_START, LogLost, LogPosition
from optio_agents.hosts.foreign import ForeignHost
from optio_agents.hosts.local import LocalHost
from optio_agents.hosts.log.tailed_reader import QUIET, REST
from optio_agents.hosts.optio_local import OptioLocalHost
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

T = TypeVar("T")


class Lines:
    """The thinnest host: a workdir and lines, after which its iterator waits or ends."""

    workdir = "/nowhere"

    def __init__(self, *lines: str, ends: bool = True) -> None:
        self.lines = list(lines)
        self.ends = ends
        self.opened = 0

    async def tail_file(self, path: str) -> AsyncIterator[str]:
        assert path == "/nowhere/optio.log"
        self.opened += 1
        for line in self.lines:
            yield line
        if not self.ends:
            await trio.sleep_forever()


def in_asyncio(main: Callable[[Boundary], Awaitable[T]]) -> T:
    return asyncio.run(run_in_trio(main))


def never(partial: bytes) -> bool:
    return False


async def read_all(
    host: Any, boundary: Boundary, position: LogPosition = LOG_START
) -> tuple[bytes, LogPosition]:
    data = b""
    async with ForeignHost(host, boundary).open_log(position, settled=never) as reader:
        reader.finish()
        while (window := await reader.read()) is not None:
            data += window.data
            position = window.end
    return data, position


def test_a_host_with_two_members_is_enough() -> None:
    async def main(boundary: Boundary) -> None:
        host = adapt_host(Lines("one", "two\r", "three"), boundary)
        await host.setup_workdir()
        await host.prepare_channel()
        async with host.open_log(LOG_START, settled=never) as reader:
            window = await reader.read()
            assert window is not None
            assert window.data == b"one\ntwo\nthree\n"
            reader.finish()
            assert await reader.read() is None
        with pytest.raises(DeliverableRejected) as caught:
            async with host.open_deliverable("x", limit=10):
                pass
        assert caught.value.kind is RejectionKind.UNREADABLE
        with pytest.raises(NotImplementedError, match="no run_command"):
            await host.install_scripts("bin", {})

    in_asyncio(main)


async def test_reading_resumes_behind_the_lines_that_were_handed_out() -> None:
    boundary = TrioBoundary()
    data, position = await read_all(Lines("one", "two"), boundary)
    assert (data, position.offset) == (b"one\ntwo\n", 2)
    data, position = await read_all(Lines("one", "two", "three"), boundary, position)
    assert (data, position.offset) == (b"three\n", 3)


async def test_an_iterator_that_ends_is_opened_again_and_repeats_nothing(autojump_clock: MockClock) -> None:
    host = Lines("one")
    async with ForeignHost(host, TrioBoundary()).open_log(LOG_START, settled=never) as reader:
        first = await reader.read()
        host.lines.append("two")
        second = await reader.read()
    assert first is not None
    assert second is not None
    assert (first.data, second.data) == (b"one\n", b"two\n")
    assert host.opened > 1


async def test_the_end_of_a_log_that_can_only_be_tailed_is_a_silence(autojump_clock: MockClock) -> None:
    data, _ = await read_all(Lines("one", "DONE", ends=False), TrioBoundary())
    assert data == b"one\nDONE\n"


async def test_a_log_that_can_only_be_tailed_and_is_never_quiet_is_left(autojump_clock: MockClock) -> None:
    class Endless(Lines):
        async def tail_file(self, path: str) -> AsyncIterator[str]:
            while True:
                yield "more"
                await trio.sleep(QUIET / 2)

    with trio.fail_after(2 * REST):
        assert await read_all(Endless(), TrioBoundary()) != (b"", LOG_START)


async def test_the_end_is_fetched_where_that_is_possible() -> None:
    class Fetching(Lines):
        async def fetch_bytes_from_host(self, path: str) -> bytes:
            return b"one\ntwo\nDONE"

    data, _ = await read_all(Fetching("one", ends=False), TrioBoundary())
    assert data == b"one\ntwo\nDONE\n"


async def test_a_failing_iterator_is_a_lost_log() -> None:
    class Failing(Lines):
        async def tail_file(self, path: str) -> AsyncIterator[str]:
            yield "one"
            raise OSError("unplugged")

    async with ForeignHost(Failing(), TrioBoundary()).open_log(LOG_START, settled=never) as reader:
        window = await reader.read()
        assert window is not None
        with pytest.raises(LogLost, match="unplugged"):
            await reader.read()


async def test_a_slow_reader_leaves_the_iterator_waiting() -> None:
    class Endless(Lines):
        def __init__(self) -> None:
            super().__init__()
            self.yielded = 0

        async def tail_file(self, path: str) -> AsyncIterator[str]:
            while True:
                self.yielded += 1
                yield "x" * 1000
                await trio.lowlevel.checkpoint()

    host = Endless()
    async with ForeignHost(host, TrioBoundary()).open_log(LOG_START, settled=never) as reader:
        await reader.read()
        await trio.testing.wait_all_tasks_blocked()
        assert host.yielded < 1000
        await reader.read()
        assert host.yielded < 2000


async def test_without_a_shell_the_bytes_are_fetched() -> None:
    class Fetching(Lines):
        async def fetch_bytes_from_host(self, path: str) -> bytes:
            if path != "/nowhere/deliverables/a":
                raise FileNotFoundError(path)
            return b"content"

    host = ForeignHost(Fetching(), TrioBoundary())
    async with host.open_deliverable("a", limit=10) as deliverable:
        assert [piece async for piece in deliverable.chunks()] == [b"content"]
        assert deliverable.size == 7
    for path, limit, kind in (("b", 10, RejectionKind.MISSING), ("a", 3, RejectionKind.TOO_LARGE)):
        with pytest.raises(DeliverableRejected) as caught:
            async with host.open_deliverable(path, limit=limit):
                pass
        assert caught.value.kind is kind


async def test_a_shell_that_is_none_is_not_believed() -> None:
    class Pretending(Lines):
        async def run_command(self, command: str, **options: Any) -> Any:
            return optio_host.host.RunResult(stdout="ok", stderr="", exit_code=0)

        async def fetch_bytes_from_host(self, path: str) -> bytes:
            return b"content"

    host = ForeignHost(Pretending(), TrioBoundary())
    async with host.open_deliverable("a", limit=10) as deliverable:
        assert deliverable.size == 7


def test_hosts_are_recognised(tmp_path: Any) -> None:
    class Telling(optio_host.host.LocalHost):  # type: ignore[misc]
        async def fetch_bytes_from_host(self, path: str, **options: Any) -> bytes:
            return b"of its own"

    boundary = TrioBoundary()
    own = LocalHost(str(tmp_path))
    assert adapt_host(own, boundary) is own
    plain = optio_host.host.LocalHost(str(tmp_path))
    assert isinstance(adapt_host(plain, boundary), OptioLocalHost)
    assert isinstance(adapt_host(Telling(str(tmp_path)), boundary), ForeignHost)
    plain.tail_file = Lines().tail_file
    assert isinstance(adapt_host(plain, boundary), ForeignHost)
