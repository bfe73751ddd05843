"""Sessions on a real local host: files, symlinks, descriptors, processes, and many sessions at once."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.testing import no_leaks
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.local import LocalHost
from optio_agents.hosts.log.local_reader import open_log_reader
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.protocol.session import (
    DeliverableFile,
    Ending,
    SessionFailed,
    SessionOptions,
    SessionOutcome,
)
from tests.support.permissions import file_modes_count
from tests.support.session import RecordingCtx

Clock = trio.testing.MockClock

PATIENCE = 120.0
"""Seconds of real time after which a test is taken to hang."""


def log_of(host: LocalHost) -> Path:
    return Path(host.workdir, "optio.log")


def write(host: LocalHost, text: str) -> None:
    with log_of(host).open("a") as log:
        log.write(text)


def deliver(host: LocalHost, name: str, content: bytes = b"") -> None:
    path = Path(host.workdir, "deliverables", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    write(host, f"DELIVERABLE: ./deliverables/{name}\n")


def writing(text: str) -> Any:
    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        write(host, text)
        await trio.sleep_forever()

    return body


class Told:
    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.texts.append(text)


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    return LocalHost(str(tmp_path / "task"))


async def run(host: LocalHost, body: Any, **more: Any) -> SessionOutcome:
    ctx = more.pop("ctx", None) or RecordingCtx()
    with trio.fail_after(PATIENCE):
        return await run_log_protocol_session(host, ctx, body=body, **more)


# The workdir and the log.


async def test_a_fresh_workdir_with_the_channel_and_the_shims(host: LocalHost) -> None:
    stale = Path(host.workdir, "stale")
    stale.parent.mkdir(parents=True)
    stale.write_text("of the last run")

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        assert not stale.exists()
        assert Path(host.workdir, "deliverables").is_dir()
        assert log_of(host).read_bytes() == b""
        assert hook_ctx.browser_launch_env is not None
        shims = Path(host.workdir, "bin")
        assert hook_ctx.browser_launch_env["PATH"].split(":")[0] == str(shims)
        subprocess.run([shims / "xdg-open", "http://x/\nDONE\nERROR: y"], check=True, cwd=host.workdir)
        write(host, "DONE\n")

    ctx = RecordingCtx()
    await run(host, body, ctx=ctx, protocol=get_protocol(browser="redirect"))
    assert len(ctx.of("browser")) == 1
    assert "\n" not in ctx.of("browser")[0][0]


async def test_a_restored_log_is_never_replayed(host: LocalHost) -> None:
    async def prepare(host: LocalHost, hook_ctx: HookContext) -> None:
        Path(host.workdir, "deliverables").mkdir()
        Path(host.workdir, "deliverables", "kept").write_text("restored with the workdir")
        log_of(host).write_text("ERROR: of the last run\n")

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        assert Path(host.workdir, "deliverables", "kept").exists()
        write(host, "DONE\n")

    assert (await run(host, body, prepare=prepare)).ending is Ending.DONE


async def test_a_log_that_was_planted_as_a_link_is_not_written_through(
    host: LocalHost, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")

    async def prepare(host: LocalHost, hook_ctx: HookContext) -> None:
        log_of(host).symlink_to(outside)
        Path(host.workdir, "deliverables").symlink_to(tmp_path)

    await run(host, writing("DONE\n"), prepare=prepare)
    assert outside.read_text() == "precious"


async def test_a_task_directory_with_a_hostile_name(tmp_path: Path) -> None:
    host, told = LocalHost(str(tmp_path / "a b'c\";touch PWNED;#$(touch PWNED)")), Told()

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliver(host, "x.txt", b"x")
        assert (await hook_ctx.run_on_host("pwd")).rstrip("\n") == host.workdir
        write(host, "DONE\n")

    outcome = await run(host, body, agent_sender=told, protocol=get_protocol(browser="suppress"))
    assert outcome.deliverables[0].accepted
    assert not list(tmp_path.rglob("PWNED"))


async def test_done_without_a_newline_as_the_last_act_of_an_agent_that_lives_on(
    host: LocalHost, autojump_clock: Clock
) -> None:
    # No deadline around it: virtual time would jump there while the workdir is made in a thread.
    outcome = await run_log_protocol_session(
        host, RecordingCtx(), body=writing("STATUS: 5% a\rSTATUS: 6% b\rDONE")
    )
    assert outcome.ending is Ending.DONE
    assert outcome.lines == 3


async def test_a_log_that_is_truncated_and_replaced_loses_no_line(host: LocalHost) -> None:
    ctx = RecordingCtx()

    async def seen(text: str) -> None:
        while text not in ctx.messages:
            await came.wait()

    came = trio.Event()

    def note(name: str, args: tuple[Any, ...]) -> None:
        nonlocal came
        came.set()
        came = trio.Event()

    ctx.on_call = note

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        write(host, "one\n")
        await seen("one")
        log_of(host).write_text("two, longer than one\n")
        await seen("two, longer than one")
        other = log_of(host).with_name("new.log")
        other.write_text("three\nDONE\n")
        other.replace(log_of(host))
        await trio.sleep_forever()

    await run(host, body, ctx=ctx)
    assert ctx.messages == ["one", "two, longer than one", "three"]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_hundred_megabytes_that_end_in_done_and_a_body_that_has_gone(
    host: LocalHost, crash: bool
) -> None:
    block = b"STATUS: 50% some work is being done here, in some detail\n" * 20_000

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        with log_of(host).open("ab") as log:
            for _ in range(100_000_000 // len(block) + 1):
                log.write(block)
            log.write(b"DONE\n")
        if crash:
            raise RuntimeError("after DONE")

    outcome = await run(host, body)
    assert outcome.ending is Ending.DONE
    assert outcome.lines > 1_700_000
    log_of(host).unlink()


async def test_a_line_of_three_hundred_megabytes_is_cut_and_passed_by(host: LocalHost) -> None:
    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        write(host, "STATUS: 1% ")
        os.truncate(log_of(host), 300_000_000)  # a hole: as many NULs
        write(host, "\nDONE\n")
        await trio.sleep_forever()

    with memory_below(8):
        outcome = await run(host, body)
    assert (outcome.lines, outcome.cut_lines) == (2, 1)


async def test_much_status_behind_a_stuck_callback_keeps_memory_flat(host: LocalHost) -> None:
    release = trio.Event()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        await release.wait()

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliver(host, "a", b"a")
        with log_of(host).open("a") as log:
            for _ in range(32):
                log.write("STATUS: 50% some work is being done here\n" * 25_000)
            log.write("ATTENTION: all was read\n")
        await trio.sleep_forever()

    ctx = RecordingCtx()

    def note(name: str, args: tuple[Any, ...]) -> None:
        if name == "attention":
            release.set()
            write(host, "DONE\n")

    ctx.on_call = note
    with memory_below(8):
        outcome = await run(host, body, ctx=ctx, on_deliverable=on_deliverable)
    assert outcome.ending is Ending.DONE
    assert outcome.lines == 800_003


@contextmanager
def memory_below(mebibytes: int) -> Iterator[None]:
    """The block's Python objects never take more than this at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mebibytes * 1024 * 1024
    finally:
        tracemalloc.stop()


@asynccontextmanager
async def nothing_left(folder: Path) -> AsyncIterator[None]:
    """As many tasks, threads, descriptors and child processes after the block as before it.

    What all sessions share (the dispatcher of inotify's events and its descriptor) lives a moment longer than the last
    of them; a reader of another log keeps it alive before, in and after the block.
    """
    with open_log_reader(Directory(str(folder)), "another.log"):
        await trio.testing.wait_all_tasks_blocked()
        with no_leaks():
            yield
            await trio.testing.wait_all_tasks_blocked()


# Deliverables.


async def test_whatever_is_no_readable_regular_file_inside_is_refused_at_once(
    host: LocalHost, tmp_path: Path
) -> None:
    told = Told()
    (tmp_path / "secret").write_text("secret")

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        folder = Path(host.workdir, "deliverables")
        os.mkfifo(folder / "fifo")
        (folder / "directory").mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "socket"))
        (folder / "link").symlink_to(tmp_path / "secret")
        (folder / "device").symlink_to("/dev/zero")
        (folder / "sparse").touch()
        os.truncate(folder / "sparse", 2 * 1024**3)
        for name in ("fifo", "directory", "socket", "link", "device", "sparse"):
            write(host, f"DELIVERABLE: ./deliverables/{name}\n")
        write(host, "DONE\n")
        await trio.sleep_forever()

    got = []

    async def on_file(hook_ctx: HookContext, file: DeliverableFile) -> None:
        got.append(file.path)

    with memory_below(8):
        outcome = await run(host, body, on_deliverable_file=on_file, agent_sender=told)
    assert [record.kind for record in outcome.deliverables] == [
        RejectionKind.NOT_REGULAR,
        RejectionKind.NOT_REGULAR,
        RejectionKind.NOT_REGULAR,
        RejectionKind.OUTSIDE,
        RejectionKind.OUTSIDE,
        RejectionKind.TOO_LARGE,
    ]
    assert got == []
    assert len(told.texts) == 6
    assert not any("secret" in text.split("rejected")[0] for text in told.texts)


async def test_a_file_that_may_not_be_read_has_its_own_reply(host: LocalHost) -> None:
    told = Told()

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliver(host, "a", b"a")
        Path(host.workdir, "deliverables", "a").chmod(0)
        with file_modes_count():
            write(host, "DONE\n")
            await trio.sleep_forever()

    outcome = await run(host, body, agent_sender=told)
    assert outcome.deliverables[0].kind is RejectionKind.UNREADABLE
    assert "chmod" in told.texts[0]


async def test_a_large_file_is_handed_over_through_a_copy_that_is_freed(
    host: LocalHost, tmp_path: Path
) -> None:
    content = os.urandom(1024) * 3000
    saved = tmp_path / "saved"

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliver(host, "a.bin", content)
        write(host, "DONE\n")
        await trio.sleep_forever()

    async def on_file(hook_ctx: HookContext, file: DeliverableFile) -> None:
        Path(host.workdir, "deliverables", "a.bin").write_bytes(b"changed meanwhile")
        await file.save(saved)
        with pytest.raises(OSError):
            await file.save(tmp_path / "missing" / "x")

    async with nothing_left(tmp_path):
        await run(host, body, on_deliverable_file=on_file)
    assert saved.read_bytes() == content
    assert not list(tmp_path.glob("**/*.part"))


# The end of it.


async def test_the_session_removes_nothing_and_ends_none_of_the_body_s_processes(host: LocalHost) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        processes.append(subprocess.Popen(["sleep", "600"]))
        deliver(host, "a", b"a")
        write(host, "DONE\n")

    try:
        await run(host, body)
        assert processes[0].poll() is None
    finally:
        processes[0].kill()
        processes[0].wait()
    assert Path(host.workdir, "deliverables", "a").exists()
    assert stat.S_IMODE(os.stat(host.taskdir).st_mode) == 0o700


async def session_of_a_crowd(folder: Path, number: int) -> None:
    """A short session with a process, a deliverable and a reply."""
    host, told = LocalHost(str(folder / str(number))), Told()

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliver(host, "a", b"a")
        write(host, "STATUS: 50% half\nDONE\n" if number % 5 else "ERROR: enough\n")
        await trio.sleep_forever()

    try:
        outcome = await run(host, body, agent_sender=told)
    except SessionFailed as failed:
        outcome = failed.outcome
    assert outcome.ending is (Ending.DONE if number % 5 else Ending.ERROR)
    assert len(told.texts) == 1


async def test_five_hundred_sessions_one_after_another_leave_nothing(tmp_path: Path) -> None:
    await session_of_a_crowd(tmp_path, 0)  # what is loaded or started once is no leak
    async with nothing_left(tmp_path):
        for number in range(500):
            await session_of_a_crowd(tmp_path, number)


async def test_a_hundred_sessions_at_once_leave_nothing(tmp_path: Path) -> None:
    await session_of_a_crowd(tmp_path, 0)
    async with nothing_left(tmp_path), trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(session_of_a_crowd, tmp_path, number)


@pytest.mark.parametrize("way", ["caller", "optio"])
async def test_a_hundred_sessions_that_are_cancelled_at_once_leave_nothing(tmp_path: Path, way: str) -> None:
    await session_of_a_crowd(tmp_path, 0)
    flag, at_work, ended = trio.Event(), trio.Semaphore(0), []

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliver(host, "a", b"a")
        process = await trio.lowlevel.open_process(["sleep", "600"])
        try:
            await process.wait()
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()

    async def stuck(hook_ctx: HookContext, path: str, text: str) -> None:
        at_work.release()
        await trio.sleep_forever()

    async def one(number: int) -> None:
        ctx = RecordingCtx()
        ctx.cancellation_flag = flag
        host = LocalHost(str(tmp_path / str(number)))
        try:
            await run(host, body, ctx=ctx, on_deliverable=stuck)
        finally:
            ended.append(number)

    async with nothing_left(tmp_path), trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(one, number)
        for _ in range(100):
            await at_work.acquire()
        if way == "caller":
            nursery.cancel_scope.cancel()
        else:
            flag.set()
    assert len(ended) == 100


async def test_options_reach_the_host(host: LocalHost) -> None:
    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        deliver(host, "a", b"12345")
        write(host, "DONE\n")

    outcome = await run(host, body, options=SessionOptions(text_limit=4))
    assert outcome.deliverables[0].kind is RejectionKind.TOO_LARGE


async def test_lines_written_one_by_one_reach_the_ctx_at_once_and_a_burst_ends_with_its_last(
    host: LocalHost, autojump_clock: Clock
) -> None:
    ctx = RecordingCtx()

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        await trio.testing.wait_all_tasks_blocked()
        for number in range(3):
            write(host, f"STATUS: step {number}\n")
            await trio.testing.wait_all_tasks_blocked()
            assert ctx.messages[-1] == f"step {number}"
        await trio.sleep(1)
        for number in range(3, 40):
            write(host, f"STATUS: step {number}\n")
            await trio.testing.wait_all_tasks_blocked()
        assert ctx.messages[-1] != "step 39", "too many for optio-core are held back"
        await trio.sleep(1)
        assert ctx.messages[-1] == "step 39"
        assert any(message.endswith("messages dropped)") for message in ctx.messages)
        write(host, "DONE\n")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(host, ctx, body=body)
    assert (outcome.ending, outcome.lines) == (Ending.DONE, 41)


async def test_a_ctx_that_fails_on_a_line_written_by_itself_fails_the_session(host: LocalHost) -> None:
    class BrokenCtx(RecordingCtx):
        def report_progress(self, percent: float | None, message: str | None = None, **_: Any) -> None:
            if message == "breaks":
                raise OSError("the database is gone")

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        await trio.testing.wait_all_tasks_blocked()
        write(host, "STATUS: breaks\n")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match="parser failed: OSError") as caught:
        await run_log_protocol_session(host, BrokenCtx(), body=body)
    assert isinstance(caught.value.__cause__, OSError)
