"""One run at a time uses a task directory of this machine."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from optio_host.host import LocalHost

from optio_agents.task import claim as module
from optio_agents.task.cancellation import CancelledWhileWaiting
from optio_agents.task.claim import (
    RECORD,
    DirectoryInUse,
    Disposition,
    RunRecord,
    claimed,
)
from tests.support.task_ctx import TaskCtx


@pytest.fixture
def taskdir(tmp_path: Path) -> Path:
    return tmp_path / "root" / "task"


def test_a_directory_is_removed_when_its_run_says_so(taskdir: Path) -> None:
    async def program() -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx()) as claim:
            assert claim.previous is None
            assert taskdir.stat().st_mode & 0o777 == 0o700
            claim.disposition = Disposition.REMOVE
        assert not taskdir.exists()

    asyncio.run(program())


@pytest.mark.parametrize(
    ("disposition", "seen"), [(Disposition.UNSAVED, "earlier"), (Disposition.KEEP, None)]
)
def test_the_next_run_finds_the_record_of_one_whose_work_is_not_saved(
    taskdir: Path, disposition: Disposition, seen: str | None
) -> None:
    async def program() -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx("earlier")) as claim:
            claim.disposition = disposition
        async with claimed(LocalHost(str(taskdir)), TaskCtx()) as claim:
            assert (claim.previous and claim.previous.process) == seen

    asyncio.run(program())


def test_a_run_waits_for_an_earlier_one_of_its_worker(taskdir: Path) -> None:
    order: list[str] = []

    async def run(name: str, entered: asyncio.Event, leave: asyncio.Event) -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx(name)) as claim:
            order.append(f"{name} in")
            entered.set()
            await leave.wait()
            (taskdir / name).touch()
            claim.disposition = Disposition.REMOVE
        order.append(f"{name} out")

    async def program() -> None:
        entered, leave, ctx = asyncio.Event(), asyncio.Event(), TaskCtx("second")
        first = asyncio.create_task(run("first", entered, leave))
        await entered.wait()

        async def second() -> None:
            async with claimed(LocalHost(str(taskdir)), ctx) as claim:
                order.append("second in")
                assert claim.previous is None
                claim.disposition = Disposition.KEEP
            assert taskdir.exists()

        waiting = asyncio.create_task(second())
        while not ctx.said:
            await asyncio.sleep(0)
        leave.set()
        await asyncio.gather(first, waiting)

    asyncio.run(program())
    assert order == ["first in", "first out", "second in"]


def test_a_run_that_waits_can_be_cancelled(taskdir: Path) -> None:
    async def program() -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx()):
            ctx = TaskCtx()
            ctx.cancellation_flag.set()
            with pytest.raises(CancelledWhileWaiting):
                async with claimed(LocalHost(str(taskdir)), ctx):
                    pytest.fail("it had the directory")

    asyncio.run(program())


def test_a_run_does_not_wait_for_ever(taskdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)

    async def program() -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx()):
            with pytest.raises(DirectoryInUse, match="the previous run of this task still uses"):
                async with claimed(LocalHost(str(taskdir)), TaskCtx()):
                    pytest.fail("it had the directory")

    asyncio.run(program())


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_directory_of_another_workers_run_is_refused_until_that_worker_is_killed(taskdir: Path) -> None:
    taskdir.mkdir(parents=True)
    (taskdir / "workdir").mkdir()
    record = taskdir / RECORD
    record.write_text(RunRecord("theirs", "db/prefix/1", "elsewhere, pid 7", "today").to_json())

    async def program() -> None:
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(record)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(
                DirectoryInUse, match=r"process theirs of db/prefix/1 \(worker elsewhere, pid 7"
            ):
                async with claimed(LocalHost(str(taskdir)), TaskCtx()):
                    pytest.fail("it had the directory")
            assert (taskdir / "workdir").exists()
            other.kill()
            other.wait()
        async with claimed(LocalHost(str(taskdir)), TaskCtx()) as claim:
            assert claim.previous is not None
            assert claim.previous.process == "theirs"

    asyncio.run(program())


def test_an_owner_that_removes_the_directory_meanwhile_leaves_no_claim_on_a_removed_file(
    taskdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = fcntl.flock
    removals = iter([True, False])

    def removed_by_its_owner(descriptor: int, operation: int) -> None:
        locked(descriptor, operation)
        if next(removals):
            os.unlink(taskdir / RECORD)
            os.rmdir(taskdir)

    monkeypatch.setattr(fcntl, "flock", removed_by_its_owner)

    async def program() -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx()):
            assert (taskdir / RECORD).exists()

    asyncio.run(program())


@pytest.mark.parametrize(
    "written", [b"[]", b"{}", b"\xff", b"[" * 4096, b'{"process": "' + b"x" * 9000, b"null"]
)
def test_a_record_that_the_agent_has_overwritten_is_that_of_an_unknown_run(
    taskdir: Path, written: bytes
) -> None:
    taskdir.mkdir(parents=True)
    (taskdir / RECORD).write_bytes(written)

    async def program() -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx()) as claim:
            assert claim.previous is not None
            assert claim.previous.process == "unknown"

    asyncio.run(program())


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_the_agent_has_put_in_the_place_of_the_record_is_neither_followed_nor_waited_for(
    taskdir: Path, tmp_path: Path, kind: str
) -> None:
    taskdir.mkdir(parents=True)
    outside, record = tmp_path / "outside", taskdir / RECORD
    outside.write_text("precious")
    if kind == "link":
        record.symlink_to(outside)
    elif kind == "directory":
        record.mkdir()
    else:
        os.mkfifo(record)

    async def program() -> None:
        async with claimed(LocalHost(str(taskdir)), TaskCtx()) as claim:
            claim.disposition = Disposition.REMOVE

    asyncio.run(program())
    assert outside.read_text() == "precious"
    assert not taskdir.exists()
