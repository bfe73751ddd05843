"""Opening a log by its name, and finding the one that a position was taken in."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path

import pytest
import trio

from optio_agents.hosts.base import LogLost, LogPosition
from optio_agents.hosts.files import directory
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.local_files import LocalFiles
from optio_agents.hosts.log import local_reader
from optio_agents.hosts.log.local_reader import open_log_reader
from optio_agents.protocol.paths import LOG_NAME
from tests.support.following import Follower, following, rotate_and_write


async def test_a_new_reader_handles_the_same_lines_in_a_log_that_was_begun_again_meanwhile(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as log:
        for write in (rotate_and_write, Follower.replace):
            log.path.unlink(missing_ok=True)
            log.append(b"one\n")
            await log.look()
            await log.stop()
            handled = len(log.lines)
            write(log, b"one\n")
            log.start()
            await log.look()
            assert len(log.lines) == handled + 1


async def test_a_new_reader_finds_the_rotated_log_that_the_last_one_was_in(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\n")
        await log.look()
        await log.stop()
        log.append(b"two\n")
        log.path.rename(tmp_path / "optio.log.1")
        log.append(b"new\n")
        log.start()
        await log.look()
        assert log.lines == [b"one", b"two", b"new"]


async def test_a_new_reader_begins_anew_when_the_log_it_was_in_is_gone(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\n")
        await log.look()
        await log.stop()
        log.replace(b"new and longer\n")
        log.start()
        await log.look()
        assert log.lines == [b"one", b"new and longer"]


def plant_symlink(path: Path) -> None:
    secret = path.with_name("secret")
    secret.write_bytes(b"DONE\n")
    path.symlink_to(secret)


def plant_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("plant", "text"),
    [
        (plant_symlink, "symbolic link"),
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "not a regular file"),
        (plant_socket, "optio.log"),
    ],
    ids=["symlink", "FIFO", "directory", "socket"],
)
@pytest.mark.parametrize("when", ["before", "while followed"])
async def test_what_is_not_a_regular_file_is_never_read(tmp_path: Path, plant, text: str, when: str) -> None:  # type: ignore[no-untyped-def]
    if when == "before":
        plant(tmp_path / LOG_NAME)
    async with following(tmp_path) as log:
        if when != "before":
            log.append(b"one\n")
            await log.look()
            log.append(b"late\n")
            log.path.unlink()
            plant(log.path)
        await log.ended.wait()
        assert text in str(log.failure)
        assert log.lines == ([] if when == "before" else [b"one", b"late"])


@pytest.mark.parametrize("swap", [True, False], ids=["swapped for a symlink", "removed"])
async def test_a_workdir_that_is_taken_away_is_lost(tmp_path: Path, swap: bool) -> None:
    workdir, elsewhere = tmp_path / "workdir", tmp_path / "elsewhere"
    workdir.mkdir()
    elsewhere.mkdir()
    (elsewhere / LOG_NAME).write_bytes(b"DONE\n")
    async with following(workdir) as log:
        workdir.rename(tmp_path / "away")
        if swap:
            workdir.symlink_to(elsewhere)
        await log.ended.wait()
        assert log.failure is not None
        assert log.lines == []


async def test_a_workdir_that_is_removed_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that works in it keeps the directory's inode, so that no event tells of its end."""
    monkeypatch.setattr(local_reader, "MISSING", 0.01)
    workdir = tmp_path / "workdir"
    workdir.mkdir()
    (workdir / LOG_NAME).touch()
    holder = os.open(workdir, os.O_RDONLY)
    try:
        async with following(workdir) as log:
            shutil.rmtree(workdir)
            with trio.fail_after(60):
                await log.ended.wait()
            assert log.failure is not None
    finally:
        os.close(holder)


async def test_a_position_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(LogLost),
        open_log_reader(Directory(str(tmp_path)), LOG_NAME, LogPosition(7, b"strange")),
    ):
        pass


async def test_a_path_that_the_kernel_does_not_keep_is_opened_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems are asked for each component, each time. A thread has asked them before."""
    (tmp_path / "workdir").mkdir()
    files = LocalFiles(str(tmp_path / "workdir"))
    asked = []

    def never(path: str) -> tuple[int, tuple[int, int]]:
        asked.append(path)
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(directory, "open_cached", never)
    await files.prepare_channel()
    (tmp_path / "workdir/optio.log").write_text("one\n")
    (tmp_path / "workdir/deliverables/x").write_text("content")
    async with files.open_log(LogPosition(), settled=lambda partial: False) as reader:
        window = await reader.read()
        assert window is not None
        assert window.data == b"one\n"
    async with files.open_deliverable("x", limit=10) as deliverable:
        assert [piece async for piece in deliverable.chunks()] == [b"content"]
    assert len(asked) == 2
