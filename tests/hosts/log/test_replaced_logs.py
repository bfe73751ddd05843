"""Logs that are truncated, rewritten, replaced or rotated while they are followed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from optio_agents.hosts.base import LINE_LIMIT
from optio_agents.hosts.log import local_reader
from optio_agents.hosts.log.local_reader import SETTLE
from optio_agents.hosts.log.log_file import status_of_name
from tests.support.following import Follower, following, rotate_and_write

COARSE = 5  # CLOCK_REALTIME_COARSE, which file systems take times from


@pytest.mark.parametrize("size", [0, 4, 6], ids=["nothing", "a line", "a line and a torn one"])
async def test_a_log_that_shrank_is_a_new_log(tmp_path: Path, size: int) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\ntwo\ntorn")
        await log.look()
        os.truncate(log.path, size)
        await log.look()
        log.append(b"new\n")
        await log.look()
        assert log.lines == [b"one", b"two", *(b"one\ntwo\ntorn"[:size] + b"new\n").split(b"\n")[:-1]]
        assert log.lost == len(b"torn")


@pytest.mark.parametrize("torn", [b"torn", b"x" * (LINE_LIMIT + 1)], ids=["short", "too long"])
async def test_a_log_that_only_lost_its_torn_last_line_goes_on(tmp_path: Path, torn: bytes) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\ntwo\n" + torn)
        await log.look()
        os.truncate(log.path, len(b"one\ntwo\nt"))
        await log.look()
        log.append(b"hree\n")
        await log.look()
        assert log.lines == [b"one", b"two", b"three" if torn == b"torn" else b"xhree"]
        assert log.lost in (len(torn) - 1, len(torn))


async def test_a_log_rewritten_longer_before_anybody_looked_is_a_new_log(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\ntwo\n")
        await log.look()
        log.path.write_bytes(b"eins\nzwei\ndrei\n")
        await log.look()
        assert log.lines == [b"one", b"two", b"eins", b"zwei", b"drei"]


async def test_a_log_rewritten_longer_far_behind_its_beginning_is_a_new_log(tmp_path: Path) -> None:
    """The last bytes before the offset decide, not the first of the file."""
    head = b"the same\n" * 1000
    async with following(tmp_path) as log:
        log.append(head + b"old\n")
        await log.look()
        log.path.write_bytes(head + b"new\n" + b"more\n")
        await log.look()
        assert log.lines[1001:] == [*head.split(b"\n")[:-1], b"new", b"more"]


async def test_a_log_replaced_by_rename_is_read_to_its_end_before_the_new_one(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\n")
        await log.look()
        log.append(b"late\n")
        log.replace(b"new\n")
        await log.look()
        assert log.lines == [b"one", b"late", b"new"]
        log.append(b"newer\n")
        await log.look()
        assert log.lines[3:] == [b"newer"]


async def test_a_write_that_comes_between_the_last_read_and_the_replacement_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(tmp_path, wants=lambda window: False) as log:
        log.append(b"one\n")
        await log.look()

        def at_the_worst_moment(path: str, directory: int) -> os.stat_result | None:
            monkeypatch.undo()
            log.append(b"late\n")
            log.replace(b"new\n")
            return status_of_name(path, directory)

        monkeypatch.setattr(local_reader, "status_of_name", at_the_worst_moment)
        log.append(b"two\n")
        await log.look()
        assert log.lines == [b"one", b"two", b"late", b"new"]


async def test_writes_to_a_renamed_log_are_followed_while_no_other_has_the_name(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\n")
        await log.look()
        with log.path.open("ab", buffering=0) as writer:
            log.path.rename(tmp_path / "optio.log.1")
            writer.write(b"two\n")
            await log.look()
            assert log.lines == [b"one", b"two"]
            writer.write(b"three\n")
            log.append(b"new\n")
            await log.look()
        assert log.lines == [b"one", b"two", b"three", b"new"]


async def test_a_log_saved_anew_with_a_line_more_goes_on_where_it_was(tmp_path: Path) -> None:
    """An agent's edit tool writes the whole file and renames it: nothing is handled twice."""
    async with following(tmp_path) as log:
        log.append(b"one\ntwo\n")
        await log.look()
        log.replace(b"one\ntwo\nthree\n")
        await log.look()
        assert log.lines == [b"one", b"two", b"three"]


def next_tick() -> None:
    """Until the kernel gives files another time than before."""
    begin = time.clock_gettime_ns(COARSE)
    while time.clock_gettime_ns(COARSE) == begin:
        pass


def overwrite(log: Follower, data: bytes) -> None:
    log.path.write_bytes(data)


def remove_and_write(log: Follower, data: bytes) -> None:
    log.path.unlink()
    log.path.write_bytes(data)


@pytest.mark.parametrize(
    "write",
    [overwrite, remove_and_write, rotate_and_write, Follower.replace],
    ids=lambda write: write.__name__,
)
@pytest.mark.parametrize("offered", [True, False], ids=["offered", "read"])
async def test_the_same_lines_in_a_log_that_was_begun_again_are_handled_again(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    write: Callable[[Follower, bytes], None],
    offered: bool,
) -> None:
    """An agent that announces the same path after each correction writes the same bytes each time."""
    line = b"DELIVERABLE: deliverables/report\n"
    async with following(tmp_path, wants=lambda window: offered) as log:
        log.append(line)
        await log.look()
        for times in range(2, 6):
            next_tick()
            write(log, line)
            await trio.sleep(2 * SETTLE)
            assert log.lines == times * [line.strip()]
        next_tick()
        write(log, line)
        await log.finish()
        assert log.lines == 6 * [line.strip()]


async def test_a_log_that_is_only_touched_is_not_handled_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\n")
        await log.look()
        next_tick()
        log.path.touch()
        await trio.sleep(2 * SETTLE)
        log.append(b"two\n")
        await log.look()
        next_tick()
        log.path.touch()
        await log.finish()
        assert log.lines == [b"one", b"two"]


async def test_a_line_torn_by_the_replacement_is_counted_as_lost(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\ntorn")
        await log.look()
        log.replace(b"new\n")
        await log.look()
        assert log.lines == [b"one", b"new"]
        assert log.lost == len(b"torn")
