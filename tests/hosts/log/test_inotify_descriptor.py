"""The inotify descriptor itself: when watches end in the kernel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from trio.testing import wait_all_tasks_blocked

from optio_agents.hosts.log import inotify
from optio_agents.hosts.log.inotify import IN_MODIFY, open_watch
from optio_agents.hosts.log.inotify_descriptor import UNWANTED_LIMIT, Descriptor


@pytest.fixture
def descriptor() -> Iterator[Descriptor]:
    descriptor = Descriptor()
    yield descriptor
    descriptor.close()


def watched(descriptor: Descriptor) -> int:
    """How many inodes the kernel watches."""
    return len(
        re.findall("^inotify ", Path(f"/proc/self/fdinfo/{descriptor.number}").read_text(), re.MULTILINE)
    )


def add(descriptor: Descriptor, path: Path) -> int:
    path.touch()
    file = os.open(path, os.O_RDONLY)
    try:
        return descriptor.add(file, IN_MODIFY)
    finally:
        os.close(file)


def test_watches_that_nobody_wants_end_together_once_they_are_many(
    descriptor: Descriptor, tmp_path: Path
) -> None:
    watches = [add(descriptor, tmp_path / str(number)) for number in range(UNWANTED_LIMIT + 1)]
    for watch in watches[: UNWANTED_LIMIT - 1]:
        descriptor.remove(watch)
    assert watched(descriptor) == UNWANTED_LIMIT + 1
    descriptor.remove(watches[UNWANTED_LIMIT - 1])
    assert watched(descriptor) == 1


def test_an_inode_that_is_wanted_again_stays_watched(descriptor: Descriptor, tmp_path: Path) -> None:
    watch = add(descriptor, tmp_path / "log")
    descriptor.remove(watch)
    assert add(descriptor, tmp_path / "log") == watch
    descriptor.end_unwanted()
    assert watched(descriptor) == 1


def test_a_watch_that_ended_with_its_inode_is_no_error(descriptor: Descriptor, tmp_path: Path) -> None:
    watch = add(descriptor, tmp_path / "log")
    (tmp_path / "log").unlink()
    descriptor.remove(watch)
    descriptor.end_unwanted()
    assert watched(descriptor) == 0


async def test_writes_to_a_file_that_nobody_follows_any_more_wake_the_dispatcher_for_a_moment_only(
    tmp_path: Path,
) -> None:
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with open_watch(directory, "log") as watch, (tmp_path / "log").open("ab", buffering=0) as log:
        watch.follow(log.fileno())
        watch.follow(None)
        log.write(b"one\n")
        await wait_all_tasks_blocked()
        before = inotify.statistics()
        for _ in range(10):
            log.write(b"more\n")
            await wait_all_tasks_blocked()
        assert inotify.statistics() == before
    os.close(directory)
