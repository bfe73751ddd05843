"""Opening beneath a directory, with links made at any place and any time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from optio_agents.hosts.files import beneath
from optio_agents.hosts.files.beneath import LeavesDirectory, open_file, open_parent, replacing, write_all


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """The descriptor of `tmp_path/root`; a secret lies beside it."""
    (tmp_path / "root" / "dir").mkdir(parents=True)
    (tmp_path / "root" / "file").write_text("inside")
    (tmp_path / "root" / "dir" / "deep").write_text("deep")
    (tmp_path / "secret").write_text("secret")
    descriptor = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(root: int, path: str) -> str:
    with open(open_file(root, path), "rb") as file:
        return file.read().decode()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("file", "inside"),
        ("./dir//deep", "deep"),
        ("dir/../file", "inside"),
        ("to-dir/deep", "deep"),
        ("dir/up", "inside"),
        ("chain", "deep"),
    ],
)
def test_what_stays_beneath_is_opened(root: int, tmp_path: Path, path: str, content: str) -> None:
    (tmp_path / "root" / "to-dir").symlink_to("dir")
    (tmp_path / "root" / "dir" / "up").symlink_to("../file")
    (tmp_path / "root" / "chain").symlink_to("to-dir/../dir/deep")
    assert read(root, path) == content


@pytest.mark.parametrize(
    "path",
    ["../secret", "dir/../../secret", "/etc/passwd", "link", "absolute", "dir/link", "to-parent/secret"],
)
def test_what_leads_out_is_refused(root: int, tmp_path: Path, path: str) -> None:
    (tmp_path / "root" / "link").symlink_to("../secret")
    (tmp_path / "root" / "absolute").symlink_to(tmp_path / "root" / "file")
    (tmp_path / "root" / "dir" / "link").symlink_to("../../secret")
    (tmp_path / "root" / "to-parent").symlink_to("..")
    with pytest.raises(LeavesDirectory):
        open_file(root, path)
    with pytest.raises(LeavesDirectory), open_parent(root, path + "/x"):
        pass


def test_links_in_a_circle_end(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "a").symlink_to("b")
    (tmp_path / "root" / "b").symlink_to("a")
    with pytest.raises(OSError) as caught:
        open_file(root, "a")
    assert caught.value.errno == errno.ELOOP


def test_what_is_written_replaces_a_link_and_never_goes_through_it(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "file").unlink()
    (tmp_path / "root" / "file").symlink_to("../secret")
    with replacing(root, "file") as descriptor:
        write_all(descriptor, b"new")
    assert read(root, "file") == "new"
    assert (tmp_path / "secret").read_text() == "secret"


def test_missing_directories_are_made_and_a_link_in_their_place_is_not_followed_out(
    root: int, tmp_path: Path
) -> None:
    with replacing(root, "a/b/c") as descriptor:
        write_all(descriptor, b"new")
    assert read(root, "a/b/c") == "new"
    (tmp_path / "root" / "uploads").symlink_to(tmp_path)
    with pytest.raises(LeavesDirectory), replacing(root, "uploads/secret"):
        pass
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_block_that_fails_leaves_the_old_file_and_no_other(root: int, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), replacing(root, "file") as descriptor:
        write_all(descriptor, b"half of it")
        raise RuntimeError
    assert read(root, "file") == "inside"
    assert sorted(os.listdir(tmp_path / "root")) == ["dir", "file"]


@pytest.mark.parametrize("path", ["", "dir/", "dir/.", "dir/.."])
def test_a_path_that_names_no_file_is_not_written(root: int, path: str) -> None:
    with pytest.raises(ValueError, match="names no file"), replacing(root, path):
        pass


@given(
    links=st.dictionaries(
        st.sampled_from(["a", "b", "dir/c", "dir/d"]),
        st.lists(st.sampled_from(["a", "b", "c", "d", "dir", "..", ".", "file", "secret"]), max_size=5).map(
            "/".join
        ),
        max_size=4,
    ),
    path=st.lists(st.sampled_from(["a", "b", "c", "dir", "..", "file", "deep", "secret"]), min_size=1).map(
        "/".join
    ),
    swap=st.integers(0, 12),
    to=st.sampled_from(["..", "../..", "dir", "../secret"]),
)
@settings(deadline=None, max_examples=200)
def test_nothing_outside_is_ever_opened_even_if_a_component_is_swapped_on_the_way(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], path: str, swap: int, to: str
) -> None:
    """An attacker who replaces `dir` or `a` by a link at any one of our system calls gets nothing by it."""
    base = tmp_path_factory.mktemp("swap")
    (base / "root" / "dir").mkdir(parents=True)
    (base / "root" / "file").write_text("inside")
    (base / "root" / "dir" / "deep").write_text("inside")
    (base / "secret").write_text("secret")
    for name, target in links.items():
        if target:
            (base / "root" / name).symlink_to(target)
    calls = 0

    def attack(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        nonlocal calls
        calls += 1
        if calls == swap:
            (base / "root" / "dir").rename(base / "root" / "moved")
            (base / "root" / "dir").symlink_to(to)
        return os.open(path, flags, *rest, dir_fd=dir_fd)

    class Os:
        open = staticmethod(attack)

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

    root = os.open(base / "root", os.O_RDONLY | os.O_DIRECTORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beneath, "os", Os())
        try:
            descriptor = open_file(root, path)
        except OSError:
            return
        finally:
            os.close(root)
    opened = os.readlink(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    assert Path(opened).is_relative_to(base / "root")
