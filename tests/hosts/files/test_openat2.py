"""The quick way to open a deliverable: it opens what the walk would open, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from optio_agents.hosts.files.openat2 import open_near


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root" / "inner").mkdir(parents=True)
    (tmp_path / "root" / "inner" / "file").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    for name, target in {
        "beneath": "inner/file",
        "out": "../secret",
        "absolute": str(tmp_path / "secret"),
        "directory": "inner",
    }.items():
        (tmp_path / "root" / name).symlink_to(target)
    os.mkfifo(tmp_path / "root" / "fifo")
    descriptor = os.open(tmp_path / "root", os.O_RDONLY)
    probe = open_near(descriptor, b"inner/file")
    if probe is None:
        pytest.skip("no openat2 here")
    os.close(probe)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("path", [b"inner/file", b"beneath", b"directory/file", b"inner/../inner/file"])
def test_what_lies_beneath_is_opened(root: int, path: bytes) -> None:
    descriptor = open_near(root, path)
    assert descriptor is not None
    assert os.read(descriptor, 100) == b"content"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    "path",
    [b"out", b"absolute", b"../secret", b"/etc/passwd", b"missing", b"inner/file\0x", b"", b"x" * 5000],
)
def test_anything_else_is_left_to_the_walk(root: int, path: bytes) -> None:
    assert open_near(root, path) is None


def test_another_file_system_is_left_to_a_thread() -> None:
    root = os.open("/", os.O_RDONLY)
    try:
        assert open_near(root, b"proc/self/stat") is None
    finally:
        os.close(root)


def test_a_fifo_does_not_block_and_a_link_is_not_followed_where_it_must_not_be(root: int) -> None:
    descriptor = open_near(root, b"fifo")
    assert descriptor is not None
    os.close(descriptor)
    assert open_near(root, b"directory", os.O_DIRECTORY | os.O_NOFOLLOW) is None
