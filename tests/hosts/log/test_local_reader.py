"""Following a log: each fault by its name. Any interleaving of them is `test_log_reader_model`."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
import trio

from optio_agents.hosts.base import LINE_LIMIT, LOG_START, WINDOW_LIMIT, Window
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.log import local_reader
from optio_agents.hosts.log.framer import CUT_MARK
from optio_agents.hosts.log.local_reader import OVERTIME, QUIET, open_log_reader
from optio_agents.hosts.log.log_file import CONTEXT
from optio_agents.protocol.paths import LOG_NAME
from tests.support.following import following


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_lines_arrive_as_they_are_written_and_torn_ones_when_they_are_whole(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\ntw")
        await log.look()
        assert log.lines == [b"one"]
        log.append(b"o\nthree\n")
        await log.look()
        assert log.lines == [b"one", b"two", b"three"]
        assert log.position.offset == log.path.stat().st_size


async def test_a_log_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        assert log.lines == []
        log.append(b"late\n")
        await log.look()
        assert log.lines == [b"late"]


async def test_progress_with_bare_carriage_returns_is_seen_at_once(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"STATUS: 1% a\rSTATUS: 2% b\r")
        await log.look()
        assert log.lines == [b"STATUS: 1% a", b"STATUS: 2% b"]
        log.append(b"\nnext\r\n")
        await log.look()
        assert log.lines[2:] == [b"next"]


async def test_what_was_read_is_handed_out_before_trouble_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, directory: int) -> os.stat_result:
        raise OSError(errno.EIO, "Input/output error")

    async with following(tmp_path) as log:
        log.append(b"one\n")
        monkeypatch.setattr(local_reader, "status_of_name", fail)
        await log.ended.wait()
        assert log.lines == [b"one"]
        assert "Input/output error" in str(log.failure)


async def test_a_hole_is_skipped(tmp_path: Path) -> None:
    """A terabyte that takes no room on the disk. Read byte by byte it would take minutes."""
    async with following(tmp_path) as log:
        log.append(b"before\n")
        try:
            os.truncate(log.path, 10**12)
        except OSError as error:
            pytest.skip(f"no such holes here: {error}")
        await log.look()
        log.append(b"\nafter\n")
        os.truncate(log.path, 2 * 10**12)
        with trio.fail_after(30):
            await log.finish()
        assert [line[:6] for line in log.lines] == [b"before", b"\0" * 6, b"after", b"\0" * 6]
        assert log.position.offset == 2 * 10**12


async def test_a_log_that_grows_on_after_finish_is_left_at_last(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    """A child that the agent left behind writes for ever. What was there at `finish` is read, and a little more."""
    size = 3 * WINDOW_LIMIT
    (tmp_path / LOG_NAME).write_bytes(b"x\n" * (size // 2))
    with open_log_reader(Directory(str(tmp_path)), LOG_NAME) as reader:
        reader.finish()
        windows: list[Window] = []
        while (window := await reader.read()) is not None:
            windows.append(window)
            with (tmp_path / LOG_NAME).open("ab") as file:
                file.write(b"more\n" * 100)
            if len(windows) > 10:
                mock_clock.jump(OVERTIME)
    assert sum(len(window.data) for window in windows) > size
    assert [window.growing for window in windows[-2:]] == [False, True]
    assert len(windows) < 20


async def test_loss_that_no_line_follows_is_told_at_the_end(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"torn")
        await log.look()
        os.truncate(log.path, 0)
        await log.look()
        await log.finish()
        assert log.lines == []
        assert log.lost == len(b"torn")


async def test_finish_reads_to_the_end_and_counts_an_unterminated_last_line(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\nDONE")
        await log.finish()
        assert log.lines == [b"one", b"DONE"]
        assert log.position.offset == len(b"one\nDONE")


async def test_finish_without_a_log_ends(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        await log.finish()
        assert log.windows == []


async def test_everything_is_read_when_finish_comes_before_the_reader_has_begun(tmp_path: Path) -> None:
    """However far behind the reader is: no grace timer."""
    size = 40 * WINDOW_LIMIT
    line = b"STATUS: 50% of a log that is much longer than one window\n"
    (tmp_path / LOG_NAME).write_bytes(line * (size // len(line)) + b"DONE")
    lines = size_read = 0
    with open_log_reader(Directory(str(tmp_path)), LOG_NAME) as reader:
        reader.finish()
        while (window := await reader.read()) is not None:
            lines += window.data.count(b"\n")
            size_read += len(window.data)
    assert lines == size // len(line) + 1
    assert size_read == (tmp_path / LOG_NAME).stat().st_size + 1


async def test_an_unterminated_line_counts_once_it_was_quiet_and_is_the_kind_that_ends_a_log(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    asked = []

    def settled(partial: bytes) -> bool:
        asked.append(partial)
        return partial == b"DONE"

    async with following(tmp_path, settled=settled) as log:
        log.append(b"DO")
        await trio.sleep(QUIET * 0.9)
        log.append(b"NE")  # it changed: the time starts again
        await trio.sleep(QUIET * 0.9)
        assert asked == []
        await trio.sleep(QUIET * 0.2)
        assert asked == [b"DONE"]
        assert log.lines == [b"DONE"]
        log.append(b"\nmore\n")  # the newline that was missing begins no line of its own
        await log.look()
        assert log.lines == [b"DONE", b"more"]


async def test_an_unterminated_line_that_is_refused_is_asked_about_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    asked: list[bytes] = []

    def settled(partial: bytes) -> bool:
        asked.append(partial)
        return False

    async with following(tmp_path, settled=settled) as log:
        log.append(b"STATUS: thinking")
        await trio.sleep(100 * QUIET)
        assert asked == [b"STATUS: thinking"]
        log.append(b" hard")
        await trio.sleep(100 * QUIET)
        assert asked == [b"STATUS: thinking", b"STATUS: thinking hard"]
        assert log.lines == []


async def test_a_line_without_an_end_is_held_in_flat_memory_and_cut(tmp_path: Path) -> None:
    """A sparse file: half a gibibyte of NULs that take no room on the disk, then the newline."""
    size = 1 << 29
    async with following(tmp_path) as log:
        log.append(b"before\n")
        os.truncate(log.path, size)
        await log.look()
        assert log.lines == [b"before"]
        log.append(b"\nafter\n")
        await log.look()
        before, cut, after = log.lines
        assert (before, after) == (b"before", b"after")
        assert len(cut) == LINE_LIMIT
        assert cut.endswith(CUT_MARK)
        assert sum(window.cut for window in log.windows) == 1


async def test_a_hundred_restarts_at_random_places_handle_every_line_once(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    generator = random.Random(seed)
    lines = [b"%d %s" % (number, b"x" * generator.randrange(3 * CONTEXT)) for number in range(2000)]
    (tmp_path / LOG_NAME).write_bytes(b"".join(line + b"\n" for line in lines[:1000]))
    writes = iter([lines[at : at + 10] for at in range(1000, 2000, 10)])
    async with following(tmp_path) as log:
        for _ in range(100):
            for _ in range(generator.randrange(4)):
                await trio.lowlevel.checkpoint()
            await log.stop()
            data = b"".join(line + b"\n" for line in next(writes))
            torn = generator.randrange(len(data))
            log.append(data[:torn])
            log.start()
            for _ in range(generator.randrange(6)):
                await trio.lowlevel.checkpoint()
            log.append(data[torn:])
        await log.look()
        assert log.lines == lines, f"seed {seed}"


async def test_what_is_written_while_a_read_waits_is_offered_and_what_is_refused_is_read(
    tmp_path: Path,
) -> None:
    async with following(tmp_path, wants=lambda window: window.data.islower()) as log:
        log.append(b"")
        await log.look()
        log.append(b"one\n")
        await log.look()
        assert (log.taken, log.lines) == (1, [b"one"])
        log.append(b"TWO\n")
        await log.look()
        assert (log.taken, log.lines) == (1, [b"one", b"TWO"])
        log.append(b"thr")
        await log.look()
        log.append(b"ee\n")
        await log.look()
        assert log.lines[2:] == [b"three"], "a torn line is not offered before it is whole"
        log.replace(b"one\nTWO\nthree\nfour\n")
        await log.look()
        log.append(b"five\n")
        await log.look()
        assert log.lines == [b"one", b"TWO", b"three", b"four", b"five"]


async def test_what_the_taker_raises_the_read_raises(tmp_path: Path) -> None:
    def want(window: Window) -> bool:
        raise LookupError(window.data)

    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="one")):
        async with following(tmp_path, wants=want) as log:
            log.append(b"")
            await log.look()
            log.append(b"one\n")
            await trio.sleep_forever()


async def test_a_cancelled_read_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).write_bytes(b"one\n")
    with open_log_reader(Directory(str(tmp_path)), LOG_NAME) as reader:
        with trio.CancelScope() as scope:
            scope.cancel()
            await reader.read()
        window = await reader.read()
    assert window is not None
    assert window.data == b"one\n"


async def test_readers_leave_no_descriptor(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    before = open_descriptors()
    for number in range(50):
        (tmp_path / LOG_NAME).write_bytes(b"%d\n" % number)
        async with following(tmp_path) as log:
            log.replace(b"other\n")
            await log.look()
            await (log.finish() if number % 2 else log.stop())
    await trio.sleep(1)  # the dispatcher may keep its descriptor for a moment, for the next reader
    assert open_descriptors() == before


async def test_other_tasks_run_between_windows(tmp_path: Path) -> None:
    """A long log does not hold up the other sessions of the process."""
    (tmp_path / LOG_NAME).write_bytes(b"x\n" * (20 * WINDOW_LIMIT // 2))
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(neighbour)
        with open_log_reader(Directory(str(tmp_path)), LOG_NAME, LOG_START) as reader:
            reader.finish()
            windows = 0
            while await reader.read() is not None:
                windows += 1
        nursery.cancel_scope.cancel()
    assert turns >= windows - 1 >= 19
