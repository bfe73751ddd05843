"""Any tree that an agent leaves is removed, and nothing next to it is changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optio_agents.hosts.files.removal import empty_directory, remove_tree
from tests.support.descriptors import open_descriptors
from tests.support.permissions import file_modes_count

DEPTH = 3000


def dig(path: Path, depth: int) -> None:
    """Nested directories, deeper than a path can say."""
    os.makedirs(path, exist_ok=True)
    here = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_a_tree_of_any_depth_and_width_is_removed_with_few_descriptors(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    dig(tree, DEPTH)
    for number in range(50):
        dig(tree / f"wide{number}", number)
        (tree / f"file{number}").touch()
    before = len(open_descriptors())
    remove_tree(tree)
    assert not tree.exists()
    assert len(open_descriptors()) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["the tree itself", "a file in it", "a directory in it"])
def test_no_link_is_followed(tmp_path: Path, place: str) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    (outside / "mine").touch()
    outside.chmod(0o500)
    if place == "the tree itself":
        tree.symlink_to(outside)
    else:
        (tree / "inner").mkdir(parents=True)
        (tree / ("link" if place == "a file in it" else "inner/link")).symlink_to(outside)
    remove_tree(tree)
    assert not os.path.lexists(tree)
    assert (outside / "mine").exists()
    assert outside.stat().st_mode & 0o777 == 0o500


def test_an_emptied_directory_stays_and_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    dig(directory, 20)
    inode = directory.stat().st_ino
    empty_directory(directory)
    assert list(directory.iterdir()) == []
    assert directory.stat().st_ino == inode
    link = tmp_path / "link"
    link.symlink_to(directory)
    (directory / "mine").touch()
    with pytest.raises(OSError):
        empty_directory(link)
    assert (directory / "mine").exists()


def test_nothing_there_is_fine(tmp_path: Path) -> None:
    remove_tree(tmp_path / "missing")
    remove_tree(tmp_path / "missing" / "deeper")


def test_directories_that_may_not_be_entered_are_removed_by_their_owner(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/b/file").touch()
    for directory in ("a/b/c", "a/b", "a", ""):
        (tree / directory).chmod(0)
    with file_modes_count():
        remove_tree(tree)
    assert not tree.exists()


def test_what_cannot_be_removed_is_told_and_the_rest_is_gone(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "other").mkdir(parents=True)
    tmp_path.chmod(0o500)
    try:
        with file_modes_count(), pytest.raises(PermissionError):
            remove_tree(tree)
        assert list(tree.iterdir()) == []
    finally:
        tmp_path.chmod(0o700)
