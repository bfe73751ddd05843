"""Following the log: windows in order, the end told once, and a new tailer where the last one stood."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from optio_agents.hosts.base import LogLost, LogPosition, Take, Window
from optio_agents.session.cursor import Cursor
from optio_agents.session.reading import Reading, Signal
from optio_agents.session.tailer import READER_RESTARTS, _read_on, tail
from tests.support.session import MemoryHost
from tests.support.session_parts import FarEnd


async def no_wait() -> None:
    await trio.lowlevel.checkpoint()


class Tailing:
    """One tailer over a host in memory, whose parser moves the cursor and notes what it was told."""

    def __init__(self, host: MemoryHost) -> None:
        self.host = host
        self.cursor = Cursor()
        self.told: list[Reading] = []
        self.on_told: Callable[[Reading], None] = lambda message: None
        self.room: Callable[[], Awaitable[None]] = no_wait

    def try_tell(self, message: Reading) -> None:
        self.told.append(message)
        if isinstance(message, Window):
            self.cursor.position = message.end
        self.on_told(message)

    async def run(self) -> None:
        """Under a supervisor, as in a session."""
        async with actors.open_supervisor() as supervisor:
            parser = await supervisor.start(actors.inline(lambda me: self.try_tell), name="parser")
            tailer = await supervisor.start(
                actors.actor(tail, self.host, self.cursor, parser, lambda partial: False, self.room, 300.0),
                name="tailer",
                restart=actors.TRANSIENT,
                intensity=READER_RESTARTS,
            )
            await tailer.wait()
            parser.cancel()

    @property
    def lines(self) -> list[bytes]:
        return [line for each in self.told if isinstance(each, Window) for line in each.data.splitlines()]


async def test_what_is_written_is_told_and_the_end_is_told_last() -> None:
    host = MemoryHost()
    tailing = Tailing(host)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tailing.run)
        await wait_all_tasks_blocked()
        host.write("one")
        await wait_all_tasks_blocked()
        host.write("two", "three")
        await wait_all_tasks_blocked()
        assert tailing.lines == [b"one", b"two", b"three"]
        assert Signal.LOG_ENDED not in tailing.told
        host.log += b"partial"
        tailing.cursor.finish()
    assert tailing.lines[-1] == b"partial"
    assert tailing.told[-1] is Signal.LOG_ENDED
    assert tailing.told.count(Signal.LOG_ENDED) == 1
    assert host.readers == 0
    assert tailing.cursor._reader is None


async def test_nothing_is_read_after_what_ends_the_session() -> None:
    host = MemoryHost()
    tailing = Tailing(host)

    def end(message: Reading) -> None:
        tailing.cursor.is_over = True

    tailing.on_told = end
    host.write("DONE")
    await tailing.run()
    assert len(tailing.told) == 1, "the log's end is of no interest any more"
    assert host.readers == 0


async def test_a_log_that_is_lost_is_read_on_from_the_cursor(autojump_clock: MockClock) -> None:
    host = MemoryHost()
    host.write("one")
    tailing = Tailing(host)
    host.lose_reader_at = {len(host.log)}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tailing.run)
        await trio.sleep(1)
        host.write("two")
        await trio.sleep(1)
        tailing.cursor.finish()
    assert tailing.lines == [b"one", b"two"]


async def test_a_body_that_ends_while_the_reader_is_away_has_its_log_read_to_the_end(
    autojump_clock: MockClock,
) -> None:
    host = MemoryHost()
    host.write("one")
    tailing = Tailing(host)
    host.lose_reader_at = {len(host.log)}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tailing.run)
        await wait_all_tasks_blocked()
        assert host.readers == 0, "the reader is away, until the backoff ends"
        host.write("two")
        tailing.cursor.finish()
        with trio.fail_after(60):
            while Signal.LOG_ENDED not in tailing.told:
                await trio.sleep(0.1)
    assert tailing.lines == [b"one", b"two"]


async def test_a_log_that_stays_lost_is_given_up_after_some_seconds(autojump_clock: MockClock) -> None:
    host = MemoryHost()

    class Gone(set[int]):
        def discard(self, place: object) -> None:
            """It stays lost."""

    host.lose_reader_at = Gone({0})
    start = trio.current_time()
    with pytest.RaisesGroup(actors.Escalated, allow_unwrapped=True) as caught:
        await Tailing(host).run()
    assert isinstance(caught.value, actors.Escalated)
    assert isinstance(caught.value.cause, LogLost)
    assert 5 < trio.current_time() - start < 30


class Script:
    """A reader that gives these windows; `offered` says which ones it offers while its task sleeps."""

    def __init__(self, *windows: Window | None, offered: int = 0) -> None:
        self.windows = list(windows)
        self.offered = offered
        self.answers: list[bool] = []
        self.waits = 0

    def finish(self) -> None:
        raise AssertionError("not in these tests")

    async def read(self, take: Take | None = None) -> Window | None:
        self.waits += 1
        await trio.lowlevel.checkpoint()
        while self.windows:
            window = self.windows.pop(0)
            if window is not None and self.offered > 0:
                assert take is not None
                self.offered -= 1
                self.answers.append(take(window))
                if self.answers[-1]:
                    continue
            return window
        await trio.sleep_forever()
        raise AssertionError


def window(text: str, **fields: Any) -> Window:
    return Window(text.encode(), LogPosition(len(text)), **fields)


async def read_on(script: Script, cursor: Cursor, parser: FarEnd) -> bool:
    return await _read_on(script, cursor, parser.ref, no_wait)


@pytest.mark.parametrize(
    ("offered", "is_taken"),
    [
        (window("one\n"), True),
        (window("one\ntwo\n"), False),
        (window("one\n", cut=1), False),
        (window("one\n", lost=1), False),
        (window("one\n", growing=True), False),
    ],
)
async def test_only_a_plain_line_is_told_while_the_tailer_sleeps(offered: Window, is_taken: bool) -> None:
    script, parser = Script(offered, None, offered=1), FarEnd()
    assert not await read_on(script, Cursor(), parser)
    assert script.answers == [is_taken]
    assert parser.told == [offered], "it is passed on once in both cases"
    assert script.waits == (1 if is_taken else 2)


async def test_a_line_that_was_told_in_its_sleep_wakes_the_tailer_when_it_ends_the_session() -> None:
    cursor, parser = Cursor(), FarEnd()
    script = Script(window("DONE\n"), window("two\n"), offered=1)

    async def room() -> None:
        cursor.is_over = True

    cursor.needs_room = True
    assert await _read_on(script, cursor, parser.ref, room)


async def test_held_back_progress_is_asked_for_when_it_is_due(autojump_clock: MockClock) -> None:
    cursor, flushed = Cursor(), []
    start = trio.current_time()

    class Parser(FarEnd):
        def try_tell(self, message: Reading) -> None:
            if message is Signal.FLUSH:
                flushed.append(trio.current_time() - start)
                cursor.is_over = True
            else:
                cursor.due = start + 3

    assert await read_on(Script(window("one\n"), offered=1), cursor, Parser())
    assert flushed == [3]


async def test_the_rest_of_a_window_is_asked_for_before_the_next_is_read() -> None:
    cursor = Cursor()

    class Parser(FarEnd):
        def try_tell(self, message: Reading) -> None:
            super().try_tell(message)
            cursor.is_unfinished = len(self.told) < 4

    parser = Parser()
    first, second = window("a\nb\n"), window("c\nd\n")
    await read_on(Script(first, second, None), cursor, parser)
    assert parser.told == [first, Signal.GO_ON, Signal.GO_ON, Signal.GO_ON, second]


async def test_full_queues_are_waited_for_after_each_window() -> None:
    parser, waits = FarEnd(), []

    async def room() -> None:
        waits.append(len(parser.told))
        await trio.lowlevel.checkpoint()

    await _read_on(Script(window("a\nb\n"), window("c\nd\n"), None), Cursor(), parser.ref, room)
    assert waits == [1, 2]
