"""A workdir as an archive and back, also in optio-host's own making."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from optio_agents.hosts.local import LocalHost
from tests.support.processes import alive


@pytest.fixture
async def host(tmp_path: Path) -> LocalHost:
    host = LocalHost(str(tmp_path / "task dir"))
    await host.setup_workdir()
    return host


async def in_pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_a_workdir_is_archived_and_restored(host: LocalHost) -> None:
    content = os.urandom(3_000_000)
    await host.put_file_to_host(content, host.workdir + "/a b/it's.bin")
    await host.write_text("node_modules/left-out.js", "x")
    os.symlink("a b", host.workdir + "/link")
    notes: list[tuple[str, str]] = []
    archive = [chunk async for chunk in host.archive_workdir(None, on_note=lambda *note: notes.append(note))]
    await host.write_text("later.txt", "not in the archive")

    async def stream() -> AsyncIterator[bytes]:
        for chunk in archive:
            yield chunk

    await host.restore_workdir(stream())
    assert sorted(os.listdir(host.workdir)) == ["a b", "link"]
    assert await host.fetch_bytes_from_host(host.workdir + "/a b/it's.bin") == content
    assert len(notes) == 1


async def test_what_is_regenerable_is_left_out_above_the_cap(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIO_WORKDIR_CAPTURE_MAX_MB", "1")
    await host.put_file_to_host(bytes(2 << 20), host.workdir + "/build[1]/big")
    await host.put_file_to_host(b"x", host.workdir + "/sub/build[1]/kept")
    await host.write_text("regenerable.txt", "build[1]\n")
    archive = b"".join([chunk async for chunk in host.archive_workdir([])])
    await host.restore_workdir(in_pieces(archive))
    assert sorted(os.listdir(host.workdir)) == ["regenerable.txt", "sub"]
    assert os.listdir(host.workdir + "/sub") == ["build[1]"]


async def test_optio_hosts_own_archive_is_restored(host: LocalHost) -> None:
    from optio_host.archive import _build_archive_bytes

    await host.write_text("file", "content")
    theirs = _build_archive_bytes(host.workdir, [])
    await host.write_text("file", "changed")
    await host.restore_workdir(in_pieces(theirs))
    assert Path(host.workdir, "file").read_text() == "content"


async def test_a_broken_archive_is_an_error(host: LocalHost) -> None:
    with pytest.raises(RuntimeError, match="tar failed"):
        await host.restore_workdir(in_pieces(b"this is no archive" * 100_000))


async def test_an_archive_abandoned_half_way_leaves_no_process_and_no_descriptor(host: LocalHost) -> None:
    await host.put_file_to_host(os.urandom(8 << 20), host.workdir + "/big")
    before = len(os.listdir("/proc/self/fd"))
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    earlier = children.read_text().split()  # servers that other tests share
    archive = host.archive_workdir([])
    await anext(archive)
    await archive.aclose()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before
    assert [pid for pid in children.read_text().split() if pid not in earlier and alive(int(pid))] == []
