"""The Trio host of this machine: optio-host's protocol, with planted links, odd names and cancellation."""

from __future__ import annotations

import hashlib
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import optio_host.host
import pytest
import trio

from optio_agents.hosts.files.beneath import LeavesDirectory
from optio_agents.hosts.files.transfer import STEP, Source
from optio_agents.hosts.local import LocalHost

ODD_NAME = "task 'dir\"; touch pwned #$(touch pwned)"


@pytest.fixture
async def host(tmp_path: Path) -> LocalHost:
    host = LocalHost(str(tmp_path / ODD_NAME))
    await host.setup_workdir()
    return host


async def in_pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_it_has_every_method_of_optio_hosts_protocol_with_the_same_parameters() -> None:
    for name, method in vars(optio_host.host.Host).items():
        if name.startswith("_") or not callable(method):
            continue
        theirs = inspect.signature(method).parameters
        ours = inspect.signature(getattr(LocalHost, name)).parameters
        assert list(ours) == list(theirs), name
        assert [p.kind for p in ours.values()] == [p.kind for p in theirs.values()], name


def test_importing_it_loads_no_asyncio_host() -> None:
    code = "import sys; before = set(sys.modules); import optio_agents.hosts.local; print(*set(sys.modules) - before)"
    parts = "import importlib.util, sys, types\n"  # the package's own __init__ is not what is judged here
    parts += "package = types.ModuleType('optio_agents'); package.__path__ = [sys.argv[1]]\n"
    parts += "sys.modules['optio_agents'] = package\n"
    package = str(Path(inspect.getfile(LocalHost)).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", parts + code, package], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "trio" in loaded
    assert loaded.isdisjoint({"optio_host", "optio_core", "motor", "asyncssh"})


async def test_setup_wipes_once_and_lets_nobody_else_in(tmp_path: Path) -> None:
    host = LocalHost(str(tmp_path / "task"))
    for _ in range(2):
        await host.setup_workdir()
        assert os.listdir(host.workdir) == []
        assert os.stat(host.taskdir).st_mode & 0o777 == 0o700
        assert os.stat(host.workdir).st_mode & 0o777 == 0o700
        Path(host.workdir, "locked").mkdir()
        Path(host.workdir, "locked", "file").touch()
        Path(host.workdir, "locked").chmod(0)
        Path(host.taskdir, "kept").touch()
    await host.setup_workdir()
    assert sorted(os.listdir(host.taskdir)) == ["kept", "workdir"]


async def test_a_link_in_the_place_of_the_workdir_is_not_wiped_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    host = LocalHost(str(tmp_path / "task"))
    os.mkdir(host.taskdir)
    os.symlink(precious, host.workdir)
    await host.setup_workdir()
    assert (precious / "file").exists()
    assert not os.path.islink(host.workdir)


async def test_a_users_directory_is_neither_wiped_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "code.py").touch()
    (tmp_path / "link").symlink_to("project")
    host = LocalHost.within(str(tmp_path / "link"))
    await host.setup_workdir()
    await host.prepare_channel()
    await host.cleanup_taskdir(aggressive=True)
    assert sorted(os.listdir(tmp_path / "project")) == ["code.py", "deliverables", "optio.log"]
    assert host.workdir == str(tmp_path / "project")


async def test_a_fresh_directory_is_wiped_and_removed(tmp_path: Path) -> None:
    (tmp_path / "run" / "old").mkdir(parents=True)
    host = LocalHost.within(str(tmp_path / "run"), fresh=True)
    await host.setup_workdir()
    assert os.listdir(host.workdir) == []
    await host.cleanup_taskdir(aggressive=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("size", [0, 10, STEP + 1])
@pytest.mark.parametrize("kind", ["bytes", "path", "iterator"])
async def test_a_file_is_put_and_fetched(host: LocalHost, tmp_path: Path, kind: str, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "source").write_bytes(content)
    sources: dict[str, Source] = {
        "bytes": content,
        "path": tmp_path / "source",
        "iterator": in_pieces(content, 100_000),
    }
    target = host.workdir + "/a/b/it's.bin"
    told: list[object] = []
    await host.put_file_to_host(sources[kind], target, progress_cb=lambda *progress: told.append(progress))
    assert await host.fetch_bytes_from_host(target) == content
    assert os.listdir(host.workdir + "/a/b") == ["it's.bin"]
    assert told == [(100.0, None)]


async def test_an_unchanged_file_is_left_alone(host: LocalHost, tmp_path: Path) -> None:
    target = host.workdir + "/file"
    digest = hashlib.sha256(b"same").hexdigest()
    (tmp_path / "source").write_bytes(b"same")
    await host.put_file_to_host(b"same", target, skip_if_unchanged=True)
    inode = os.stat(target).st_ino
    told: list[object] = []
    sources: list[Source] = [b"same", tmp_path / "source", in_pieces(b"same")]
    for source in sources:
        await host.put_file_to_host(
            source,
            target,
            skip_if_unchanged=True,
            expected_sha256=digest,
            progress_cb=lambda *progress: told.append(progress),
        )
    assert os.stat(target).st_ino == inode
    assert told == [(None, "already up to date")] * 3
    await host.put_file_to_host(b"other", target, skip_if_unchanged=True)
    assert await host.fetch_bytes_from_host(target) == b"other"
    with pytest.raises(ValueError, match="expected_sha256"):
        await host.put_file_to_host(in_pieces(b"x"), target, skip_if_unchanged=True)


async def test_a_source_that_fails_leaves_the_old_file_and_no_temporary_one(host: LocalHost) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    target = host.workdir + "/file"
    await host.put_file_to_host(b"old", target)
    with pytest.raises(ConnectionError):
        await host.put_file_to_host(failing(), target)
    assert await host.fetch_bytes_from_host(target) == b"old"
    assert os.listdir(host.workdir) == ["file"]


async def test_planted_links_are_neither_written_nor_read_nor_removed_through(
    host: LocalHost, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("precious")
    workdir = Path(host.workdir)
    (workdir / "uploads").symlink_to(tmp_path / "outside")
    (workdir / "target").symlink_to(tmp_path / "outside" / "file")
    (workdir / "target.tmp").symlink_to(tmp_path / "outside" / "file")

    await host.put_file_to_host(b"new", host.workdir + "/target")
    await host.write_text("target", "newer")
    for attempt in (
        lambda: host.put_file_to_host(b"new", host.workdir + "/uploads/file"),
        lambda: host.write_text("uploads/file", "new"),
        lambda: host.write_text("../../outside/file", "new"),
        lambda: host.fetch_bytes_from_host(host.workdir + "/uploads/file"),
        lambda: host.remove_file(host.workdir + "/uploads/file"),
    ):
        with pytest.raises(LeavesDirectory):
            await attempt()
    assert (tmp_path / "outside" / "file").read_text() == "precious"
    assert (workdir / "target").read_text() == "newer"

    (workdir / "link").symlink_to(tmp_path / "outside" / "file")
    await host.remove_file(host.workdir + "/link")
    assert not (workdir / "link").is_symlink()
    assert (tmp_path / "outside" / "file").exists()


async def test_files_outside_the_task_are_the_authors_own(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    target = str(tmp_path / "link" / "new" / "file")
    await host.put_file_to_host(b"x", target)
    assert await host.fetch_bytes_from_host(target) == b"x"
    await host.remove_file(target)
    await host.remove_file(target)
    assert list((tmp_path / "real" / "new").iterdir()) == []
    assert await host.glob(str(tmp_path / "*")) == sorted(str(path) for path in tmp_path.iterdir())


async def test_what_lies_beside_the_workdir_in_the_taskdir_is_reached(host: LocalHost) -> None:
    await host.put_file_to_host(b"x", host.taskdir + "/sidecar.db")
    assert await host.fetch_bytes_from_host(host.workdir + "/../sidecar.db") == b"x"


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir], ids=["FIFO", "directory"])
async def test_fetching_what_is_no_file_fails_at_once(host: LocalHost, plant) -> None:  # type: ignore[no-untyped-def]
    plant(host.workdir + "/x")
    with trio.fail_after(30), pytest.raises(OSError):
        await host.fetch_bytes_from_host(host.workdir + "/x")


async def test_a_file_is_tailed_from_its_first_line(host: LocalHost) -> None:
    await host.write_text("some.log", "one\ntwo\n")
    lines = host.tail_file(host.workdir + "/some.log")
    assert [await anext(lines), await anext(lines)] == ["one", "two"]
    with open(host.workdir + "/some.log", "ab") as file:
        file.write(b"thr\xffee\r\n")
    assert await anext(lines) == "thr\N{REPLACEMENT CHARACTER}ee"
    await lines.aclose()  # type: ignore[attr-defined]


async def test_small_things(host: LocalHost) -> None:
    await host.connect()
    assert await host.resolve_host_home() == os.path.expanduser("~")
    assert await host.establish_tunnel(8080, bind_addr="0.0.0.0") == 8080
    assert ODD_NAME in repr(host)
