"""The channel's files and deliverables: each way in which an agent can get them wrong, and its own kind of
rejection.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio

from optio_agents.hosts.base import LOG_START
from optio_agents.hosts.files.page_cache import PIECE
from optio_agents.hosts.local_files import LocalFiles
from optio_agents.protocol.paths import locate
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

LIMIT = 64 * 1024 * 1024


@pytest.fixture
async def files(tmp_path: Path) -> LocalFiles:
    """Files with a channel in `tmp_path/workdir`; a secret lies beside that."""
    (tmp_path / "workdir").mkdir()
    (tmp_path / "secret").write_text("secret")
    files = LocalFiles(str(tmp_path / "workdir"))
    await files.prepare_channel()
    return files


@pytest.fixture
def deliverables(files: LocalFiles, tmp_path: Path) -> Path:
    return tmp_path / "workdir" / "deliverables"


async def fetch(files: LocalFiles, path: str, *, limit: int = LIMIT) -> bytes:
    async with files.open_deliverable(path, limit=limit) as deliverable:
        content = b"".join([chunk async for chunk in deliverable.chunks()])
        assert len(content) == deliverable.size
        return content


async def rejection(files: LocalFiles, path: str, *, limit: int = LIMIT) -> DeliverableRejected:
    with pytest.raises(DeliverableRejected) as caught:
        await fetch(files, path, limit=limit)
    return caught.value


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Without the right to read everything, which the tests may be run with."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_fresh_channel_has_an_empty_log_and_an_empty_directory(
    files: LocalFiles, tmp_path: Path
) -> None:
    assert (tmp_path / "workdir" / "optio.log").read_bytes() == b""
    assert list((tmp_path / "workdir" / "deliverables").iterdir()) == []


async def test_a_restored_log_is_emptied_and_restored_deliverables_are_kept(
    files: LocalFiles, tmp_path: Path
) -> None:
    (tmp_path / "workdir" / "optio.log").write_bytes(b"DONE\n")
    (tmp_path / "workdir" / "deliverables" / "kept").write_bytes(b"x")
    await files.prepare_channel()
    assert (tmp_path / "workdir" / "optio.log").read_bytes() == b""
    assert (tmp_path / "workdir" / "deliverables" / "kept").exists()


async def test_links_planted_in_the_place_of_the_channel_are_replaced(tmp_path: Path) -> None:
    workdir = tmp_path / "workdir"
    workdir.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "victim").write_text("precious")
    (workdir / "optio.log").symlink_to(tmp_path / "victim")
    (workdir / "deliverables").symlink_to(tmp_path / "elsewhere")
    await LocalFiles(str(workdir)).prepare_channel()
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (workdir / "optio.log").is_symlink()
    assert not (workdir / "deliverables").is_symlink()
    assert (workdir / "deliverables").is_dir()


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
async def test_a_deliverable_arrives_whole_and_can_be_read_twice(
    files: LocalFiles, deliverables: Path, size: int
) -> None:
    content = os.urandom(size)
    (deliverables / "sub dir").mkdir()
    (deliverables / "sub dir" / "répört;'\n.md").write_bytes(content)
    assert await fetch(files, "sub dir/répört;'\n.md") == content
    async with files.open_deliverable("sub dir/répört;'\n.md", limit=LIMIT) as deliverable:
        for _ in range(2):
            chunks = [chunk async for chunk in deliverable.chunks()]
            assert b"".join(chunks) == content
            assert all(len(chunk) <= PIECE for chunk in chunks)


async def test_a_link_that_stays_in_deliverables_is_followed(files: LocalFiles, deliverables: Path) -> None:
    (deliverables / "v2.md").write_bytes(b"content")
    (deliverables / "latest.md").symlink_to("v2.md")
    assert await fetch(files, "latest.md") == b"content"


def link_to_secret(deliverables: Path) -> None:
    (deliverables / "x").symlink_to("../../secret")


def link_to_workdir(deliverables: Path) -> None:
    (deliverables.parent / "draft").write_text("in the workdir, but not delivered")
    (deliverables / "x").symlink_to("../draft")


def link_instead_of_deliverables(deliverables: Path) -> None:
    deliverables.rmdir()
    deliverables.symlink_to(deliverables.parent.parent)
    (deliverables.parent.parent / "x").write_text("outside")


def link_in_a_circle(deliverables: Path) -> None:
    (deliverables / "x").symlink_to("x")


def a_socket(deliverables: Path) -> None:
    here = os.open(".", os.O_RDONLY)
    os.chdir(deliverables)  # the name of a socket may have 107 bytes only
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("x")
    finally:
        os.fchdir(here)
        os.close(here)


@pytest.mark.parametrize(
    ("plant", "kind", "detail"),
    [
        (lambda deliverables: None, RejectionKind.MISSING, "No such file"),
        (lambda deliverables: deliverables.rmdir(), RejectionKind.MISSING, "No such file"),
        (lambda deliverables: (deliverables / "x").symlink_to("gone"), RejectionKind.MISSING, "No such file"),
        (lambda deliverables: (deliverables / "x").mkdir(), RejectionKind.NOT_REGULAR, "directory"),
        (lambda deliverables: os.mkfifo(deliverables / "x"), RejectionKind.NOT_REGULAR, "FIFO"),
        (a_socket, RejectionKind.NOT_REGULAR, ""),
        (link_to_secret, RejectionKind.OUTSIDE, "leads out"),
        (link_to_workdir, RejectionKind.OUTSIDE, "leads out"),
        (link_instead_of_deliverables, RejectionKind.OUTSIDE, "leads out"),
        (link_in_a_circle, RejectionKind.UNREADABLE, "symbolic links"),
    ],
    ids=[
        "missing",
        "no deliverables",
        "dangling link",
        "directory",
        "FIFO",
        "socket",
        "link out of the workdir",
        "link into the workdir",
        "deliverables is a link",
        "circle",
    ],
)
async def test_what_is_wrong_is_refused_at_once_with_its_own_kind(
    files: LocalFiles, deliverables: Path, plant: Callable[[Path], None], kind: RejectionKind, detail: str
) -> None:
    plant(deliverables)
    with trio.fail_after(30):
        refused = await rejection(files, "x")
    assert refused.kind is kind
    assert detail in refused.detail


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("../optio.log", RejectionKind.OUTSIDE),
        ("/etc/passwd", RejectionKind.OUTSIDE),
        ("x\0y", RejectionKind.INVALID_PATH),
        ("\ud800", RejectionKind.INVALID_PATH),
        ("x" * 300, RejectionKind.INVALID_PATH),
        ("file/below", RejectionKind.MISSING),
        (".", RejectionKind.NOT_REGULAR),
    ],
    ids=["up", "absolute", "NUL", "lone surrogate", "too long", "below a file", "itself"],
)
async def test_paths_that_name_no_deliverable(
    files: LocalFiles, deliverables: Path, path: str, kind: RejectionKind
) -> None:
    (deliverables / "file").touch()
    assert (await rejection(files, path)).kind is kind


async def test_a_file_without_permission_is_unreadable() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        files = LocalFiles(directory)
        await files.prepare_channel()
        path = Path(directory, "deliverables", "x")
        path.touch(mode=0o000)
        with as_somebody_else():
            refused = await rejection(files, "x")
    assert refused.kind is RejectionKind.UNREADABLE
    assert "Permission denied" in refused.detail


async def test_a_sparse_file_of_two_gibibytes_is_refused_by_its_size(
    files: LocalFiles, deliverables: Path
) -> None:
    (deliverables / "x").touch()
    os.truncate(deliverables / "x", 2 << 30)
    tracemalloc.start()
    try:
        refused = await rejection(files, "x")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.kind is RejectionKind.TOO_LARGE
    assert f"{2 << 30:,}" in refused.detail
    assert peak < 1 << 20


async def test_the_limit_itself_is_taken(files: LocalFiles, deliverables: Path) -> None:
    (deliverables / "x").write_bytes(b"12345")
    assert await fetch(files, "x", limit=5) == b"12345"
    assert (await rejection(files, "x", limit=4)).kind is RejectionKind.TOO_LARGE


async def test_a_file_swapped_after_it_was_opened_is_read_as_it_was_checked(
    files: LocalFiles, deliverables: Path, tmp_path: Path
) -> None:
    (deliverables / "x").write_bytes(b"checked")
    async with files.open_deliverable("x", limit=LIMIT) as deliverable:
        (deliverables / "x").unlink()
        (deliverables / "x").symlink_to(tmp_path / "secret")
        assert b"".join([chunk async for chunk in deliverable.chunks()]) == b"checked"


def rewrite(path: Path) -> None:
    """The same size, other bytes, at a time that the file system tells from the one before."""
    begin = time.clock_gettime_ns(5)  # CLOCK_REALTIME_COARSE
    while time.clock_gettime_ns(5) == begin:
        pass
    with path.open("r+b") as file:
        file.write(b"x" * 10)


@pytest.mark.parametrize(
    "change",
    [lambda path: os.truncate(path, 10), lambda path: os.truncate(path, 5 * PIECE), rewrite],
    ids=["shrinks", "grows", "is rewritten"],
)
async def test_a_file_that_changes_while_it_is_read_is_refused(
    files: LocalFiles, deliverables: Path, change: Callable[[Path], None]
) -> None:
    """Never a mixture of two versions."""
    (deliverables / "x").write_bytes(bytes(3 * PIECE))
    async with files.open_deliverable("x", limit=4 * PIECE) as deliverable:
        chunks = deliverable.chunks()
        await anext(chunks)
        change(deliverables / "x")
        with pytest.raises(DeliverableRejected) as caught:
            while True:
                await anext(chunks)
    assert caught.value.kind is RejectionKind.CHANGED


async def test_a_file_in_the_middle_of_one_long_write_is_no_mixture(
    files: LocalFiles, deliverables: Path
) -> None:
    """Such a write sets the file's time once, when it begins."""
    size, stop = 24_000_000, threading.Event()
    (deliverables / "x").write_bytes(b"A" * size)

    def write_on() -> None:
        with (deliverables / "x").open("r+b", buffering=0) as file:
            while not stop.is_set():
                for letter in b"BCDE":
                    file.seek(0)
                    file.write(bytes([letter]) * size)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for _ in range(10):
            with suppress(DeliverableRejected):
                async with files.open_deliverable("x", limit=2 * size) as deliverable:
                    content = b"".join([chunk async for chunk in deliverable.chunks()])
                assert len(set(content[::1000])) == 1
    finally:
        stop.set()
        await trio.to_thread.run_sync(writer.join)


async def test_file_names_are_utf8_whatever_the_locale(deliverables: Path) -> None:
    """What the log says is UTF-8, and so is the name that the agent gave its file."""
    (deliverables / os.fsdecode("grün".encode())).write_bytes(b"green")
    program = """
import sys, trio
from optio_agents.hosts.local_files import LocalFiles
async def main():
    async with LocalFiles(sys.argv[1]).open_deliverable("gr\\xfcn", limit=100) as deliverable:
        print([chunk async for chunk in deliverable.chunks()], sys.getfilesystemencoding())
trio.run(main)
"""
    done = await trio.run_process(
        [sys.executable, "-c", program, str(deliverables.parent)],
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        capture_stdout=True,
    )
    assert done.stdout.split()[0] == b"[b'green']"


async def test_a_workdir_whose_name_is_not_utf8_works(tmp_path: Path) -> None:
    workdir = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.makedirs(os.path.join(workdir, "deliverables"))
    with open(os.path.join(workdir, "deliverables", "x"), "wb") as file:
        file.write(b"content")
    files = LocalFiles(workdir)
    assert locate("deliverables/x", workdir) == "x"
    assert await fetch(files, "x") == b"content"
    await files.install_scripts("bin", {"x": f"cd {workdir}"})


async def test_running_out_of_descriptors_is_not_the_agents_fault(
    files: LocalFiles, deliverables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("optio_agents.hosts.local_files.open_file", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        await fetch(files, "x")


async def test_what_is_not_in_the_page_cache_is_read_by_a_thread(
    files: LocalFiles, deliverables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = 0

    def cold(descriptor: int, buffers: object, offset: int, flags: int = 0) -> int:
        nonlocal inline
        inline += 1
        raise BlockingIOError(errno.EAGAIN, "not cached")

    (deliverables / "x").write_bytes(b"cold" * PIECE)
    descriptors = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "preadv", cold)
    assert await fetch(files, "x") == b"cold" * PIECE
    assert inline == 4
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_scripts_are_executable_and_never_written_through_a_link(
    files: LocalFiles, tmp_path: Path
) -> None:
    directory = await files.install_scripts("bin", {"xdg-open": "#!/bin/sh\necho opened $1\n"})
    assert directory == str(tmp_path / "workdir" / "bin")
    result = await trio.run_process([f"{directory}/xdg-open", "it"], capture_stdout=True)
    assert result.stdout == b"opened it\n"

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "workdir" / "planted").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="leads out"):
        await files.install_scripts("planted", {"xdg-open": "x"})
    (tmp_path / "workdir" / "bin" / "xdg-open").unlink()
    (tmp_path / "workdir" / "bin" / "xdg-open").symlink_to(tmp_path / "secret")
    await files.install_scripts("bin", {"xdg-open": "new"})
    assert (tmp_path / "secret").read_text() == "secret"


async def test_a_workdir_that_was_swapped_for_another_is_refused(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "workdir").rename(tmp_path / "away")
    (tmp_path / "workdir" / "deliverables").mkdir(parents=True)
    (tmp_path / "workdir" / "deliverables" / "x").touch()
    assert (await rejection(files, "x")).kind is RejectionKind.UNREADABLE


async def test_a_reader_opened_from_the_files_follows_the_log(files: LocalFiles, tmp_path: Path) -> None:
    async with files.open_log(LOG_START, settled=lambda partial: False) as reader:
        (tmp_path / "workdir" / "optio.log").write_bytes(b"one\n")
        window = await reader.read()
    assert window is not None
    assert window.data == b"one\n"


async def test_nothing_is_left_open(files: LocalFiles, deliverables: Path) -> None:
    (deliverables / "x").write_bytes(b"x")
    os.mkfifo(deliverables / "fifo")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await files.prepare_channel()
        await fetch(files, "x")
        for path in ("fifo", "gone", "../optio.log", "x/y"):
            await rejection(files, path)
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_a_deliverables_directory_that_is_a_link_within_the_workdir_is_refused(
    files: LocalFiles, deliverables: Path
) -> None:
    deliverables.rmdir()
    (deliverables.parent / "other").mkdir()
    (deliverables.parent / "other" / "x").write_bytes(b"content")
    deliverables.symlink_to("other")
    assert (await rejection(files, "x")).kind is RejectionKind.OUTSIDE
