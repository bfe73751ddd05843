"""The dispatcher: who is woken by what, what idleness costs, and what happens where inotify cannot be
used.
"""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import threading
from contextvars import ContextVar
from pathlib import Path

import pytest
import trio
from hypothesis import given, strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.bridge import run_in_trio
from optio_agents.hosts.log import inotify, inotify_descriptor
from optio_agents.hosts.log.inotify import Watch, open_watch, parse_events
from optio_agents.protocol.paths import LOG_NAME
from tests.support.following import following


class Steps(trio.abc.Instrument):
    """Counts the steps of every task but the one that made it."""

    def __init__(self) -> None:
        self.count = 0
        self._own = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task is not self._own


def open_directory(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


async def woken(watch: Watch) -> bool:
    """Whether a wait for `watch` ends without anything more being done."""
    ended = False

    async def wait() -> None:
        nonlocal ended
        await watch.wait()
        ended = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    watch.clear()
    return ended


async def test_what_concerns_the_file_wakes_and_what_does_not_does_not(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    with open_watch(directory, "log") as watch:
        os.close(directory)
        (tmp_path / "other").write_bytes(b"x")
        assert not await woken(watch)
        (tmp_path / "log").touch()
        assert await woken(watch)
        with (tmp_path / "log").open("ab", buffering=0) as log:
            watch.follow(log.fileno())
            log.write(b"x")
            assert await woken(watch)
            (tmp_path / "log").rename(tmp_path / "log.1")
            log.write(b"y")
            assert await woken(watch), "writes to the open file, under any name"
            watch.follow(None)
            log.write(b"z")
            assert not await woken(watch)
        (tmp_path / "other").rename(tmp_path / "log")
        assert await woken(watch), "another file took the name"
        watch.wake()
        assert await woken(watch)


async def test_a_look_deals_with_changes_in_the_context_of_the_waiting_task(tmp_path: Path) -> None:
    looks: list[str] = []
    place = ContextVar("place", default="the dispatcher")
    directory = open_directory(tmp_path)
    with (tmp_path / "log").open("wb", buffering=0) as log, open_watch(directory, "log") as watch:
        watch.follow(log.fileno())
        watch.clear()

        def look() -> bool:
            looks.append(place.get())
            return len(looks) < 3

        async def wait() -> None:
            place.set("the waiting task")
            await watch.wait(look)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            for count in (1, 2, 3):
                assert nursery.child_tasks, "it waits on while the looks deal with the changes"
                log.write(b"x")
                await wait_all_tasks_blocked()
                assert len(looks) == count
            assert not nursery.child_tasks
        assert set(looks) == {"the waiting task"}
        log.write(b"x")
        await wait_all_tasks_blocked()
        assert len(looks) == 3, "it is called only while a task waits"
    os.close(directory)


async def test_what_a_look_raises_the_wait_raises_once(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    with (tmp_path / "log").open("wb", buffering=0) as log, open_watch(directory, "log") as watch:
        watch.follow(log.fileno())
        watch.clear()
        log.write(b"x")
        with pytest.raises(ZeroDivisionError):
            await watch.wait(lambda: bool(1 // 0))
        await watch.wait()
    os.close(directory)


async def test_what_a_look_raises_is_raised_even_if_the_wait_was_cancelled_in_that_turn(
    tmp_path: Path,
) -> None:
    directory = open_directory(tmp_path)
    with (tmp_path / "log").open("wb", buffering=0) as log, open_watch(directory, "log") as watch:
        watch.follow(log.fileno())
        watch.clear()
        with trio.CancelScope() as scope:

            def look() -> bool:
                scope.cancel()
                raise ZeroDivisionError

            log.write(b"x")
            with pytest.raises(ZeroDivisionError):
                await watch.wait(look)
        assert not scope.cancelled_caught
    os.close(directory)


def test_a_guest_leaves_the_watching_to_its_loop_and_takes_it_back(tmp_path: Path) -> None:
    async def watch_once(boundary: object) -> int:
        directory = open_directory(tmp_path)
        with open_watch(directory, "log") as watch:
            os.close(directory)
            watch.clear()
            (tmp_path / "log").touch()
            await watch.wait()
            hub = inotify._current.get()
            assert hub is not None
            (tmp_path / "log").unlink()
            return hub._descriptor.number

    async def main() -> None:
        for _ in range(2):
            number = await run_in_trio(watch_once)
            assert not asyncio.get_running_loop().remove_reader(number), "the loop watches it no more"

    asyncio.run(main())


def test_a_loop_that_cannot_read_the_events_makes_readers_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(boundary: object) -> None:
        async with following(tmp_path) as log:
            monkeypatch.setattr(
                inotify, "parse_events", lambda records: (_ for _ in ()).throw(OSError("broken"))
            )
            log.append(b"one\n")
            while not log.lines:
                await trio.lowlevel.checkpoint()
            assert inotify.statistics() is None

    async def run() -> None:
        await run_in_trio(main)

    asyncio.run(run())


async def test_what_happened_between_clear_and_wait_is_not_missed(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    with open_watch(directory, "log") as watch:
        watch.clear()
        (tmp_path / "log").touch()
        await wait_all_tasks_blocked()
        await watch.wait()
    os.close(directory)


async def test_two_watches_of_one_inode_are_woken_both_and_closed_one_by_one(tmp_path: Path) -> None:
    directory = open_directory(tmp_path)
    with open_watch(directory, "log") as first:
        with open_watch(directory, "log") as second:
            (tmp_path / "log").touch()
            assert await woken(first)
            assert await woken(second)
        (tmp_path / "log").unlink()
        (tmp_path / "log").touch()
        assert await woken(first)
    os.close(directory)


async def test_the_last_watch_ends_the_dispatcher_and_soon_its_descriptor(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    directory = open_directory(tmp_path)
    for _ in range(3):
        with open_watch(directory, "log"):
            assert inotify.statistics() is not None
        assert inotify.statistics() is None
        await wait_all_tasks_blocked()
        assert len(os.listdir("/proc/self/fd")) == before + 2, "the next watch takes the same one"
    os.close(directory)
    await trio.sleep(3 * inotify_descriptor.LINGER)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_descriptor_is_kept_by_the_loop_between_sessions_and_goes_with_it(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    seen: set[int] = set()

    async def watch_once(boundary: object) -> None:
        directory = open_directory(tmp_path)
        with open_watch(directory, "log"):
            os.close(directory)
            hub = inotify._current.get()
            assert hub is not None
            seen.add(hub._descriptor.number)

    async def main() -> None:
        for _ in range(3):
            await run_in_trio(watch_once)
        assert len(seen) == 1

    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before


async def test_300_idle_readers_do_nothing_for_an_hour(tmp_path: Path, autojump_clock: MockClock) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    async with trio.open_nursery() as nursery:
        ready = 0

        async def session(directory: Path) -> None:
            nonlocal ready
            directory.mkdir()
            async with following(directory) as log:
                log.append(b"STATUS: started\n")
                await log.look()
                ready += bool(log.lines)
                await trio.sleep_forever()

        for number in range(300):
            nursery.start_soon(session, tmp_path / str(number))
        await wait_all_tasks_blocked()
        while ready < 300:
            await wait_all_tasks_blocked()
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 300 + 1, "one each, and one for all"
        assert threading.active_count() <= threads  # one of an earlier test may end meanwhile
        before = inotify.statistics()
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(3600)
        trio.lowlevel.remove_instrument(steps)
        assert steps.count == 0
        assert inotify.statistics() == before
        nursery.cancel_scope.cancel()


async def test_a_write_wakes_the_dispatcher_once_and_the_reader_by_it(tmp_path: Path) -> None:
    async with following(tmp_path) as log:
        log.append(b"one\n")
        await log.look()
        before = inotify.statistics()
        log.append(b"two\n")
        await log.look()
        after = inotify.statistics()
        assert before is not None
        assert after is not None
        assert after.wakeups == before.wakeups + 1
        assert log.lines == [b"one", b"two"]


async def test_an_overflown_queue_wakes_everybody(tmp_path: Path) -> None:
    noisy, quiet = tmp_path / "noisy", tmp_path / "quiet"
    noisy.mkdir()
    quiet.mkdir()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 200_000:
        pytest.skip("it would take too long to fill the queue")
    async with following(noisy), following(quiet) as log:
        (noisy / "a").touch()
        for number in range(limit + 10):  # two names in turn: equal events in a row are merged by the kernel
            os.rename(noisy / "ab"[number % 2], noisy / "ab"[1 - number % 2])
        log.append(b"the event of this write is lost\n")
        await log.look()
        assert len(log.lines) == 1


@pytest.mark.parametrize(
    ("call", "number"),
    [("init", errno.EMFILE), ("init", errno.ENOSYS), ("add", errno.ENOSPC)],
    ids=["too many instances", "no inotify", "too many watches"],
)
async def test_without_inotify_a_reader_polls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, call: str, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(inotify_descriptor._Libc, call, refuse)
    async with following(tmp_path) as log:
        log.append(b"one\n")
        await trio.sleep(2 * inotify.POLL_INTERVAL)
        log.replace(b"two\n")
        await trio.sleep(2 * inotify.POLL_INTERVAL)
        assert log.lines == [b"one", b"two"]
        await log.finish()


async def test_readers_poll_on_when_the_dispatcher_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with following(tmp_path) as log:
        monkeypatch.setattr(inotify, "parse_events", lambda records: (_ for _ in ()).throw(OSError("broken")))
        log.append(b"one\n")
        await trio.sleep(2 * inotify.POLL_INTERVAL)
        log.append(b"two\n")
        await trio.sleep(2 * inotify.POLL_INTERVAL)
        assert log.lines == [b"one", b"two"]
        assert inotify.statistics() is None


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 0xFFFF), st.binary(max_size=40))))
def test_records_are_parsed_as_the_kernel_writes_them(events: list[tuple[int, int, bytes]]) -> None:
    events = [(number, mask, name.replace(b"\0", b"")) for number, mask, name in events]
    records = b""
    for number, mask, name in events:
        padded = name + b"\0" * (16 - len(name) % 16) if name else b""
        records += struct.pack("iIII", number, mask, 0, len(padded)) + padded
    assert list(parse_events(records)) == events


def test_runs_one_after_another_and_beside_each_other_have_dispatchers_of_their_own(tmp_path: Path) -> None:
    async def main(directory: Path) -> None:
        async with following(directory) as log:
            log.append(b"one\n")
            await log.look()
            assert log.lines == [b"one"]

    def run(name: str) -> None:
        for number in range(3):
            (directory := tmp_path / f"{name}{number}").mkdir()
            trio.run(main, directory)
            done.append(directory / LOG_NAME)

    done: list[Path] = []
    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 6
