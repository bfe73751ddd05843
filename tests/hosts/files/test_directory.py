"""A directory is the inode that it was, or it is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from optio_agents.hosts.files.directory import Directory


def test_the_same_directory_is_opened_again_and_again(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with directory.open() as descriptor:
            assert os.fstat(descriptor).st_ino == tmp_path.stat().st_ino
    assert len(os.listdir("/proc/self/fd")) == before


def test_another_directory_in_its_place_is_refused_until_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "workdir"
    path.mkdir()
    directory = Directory(str(path))
    directory.check()
    path.rename(tmp_path / "away")
    path.mkdir()
    with pytest.raises(OSError) as caught:
        directory.check()
    assert caught.value.errno == errno.ESTALE
    directory.forget()
    directory.check()


def test_a_symlink_in_its_place_is_refused_even_at_first(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError):
        Directory(str(tmp_path / "link")).check()
