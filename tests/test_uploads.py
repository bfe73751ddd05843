"""Uploads into a directory that an agent controls."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from optio_host.host import LocalHost as OptioLocalHost

from optio_agents import uploads
from optio_agents.hosts.files.create_new import create_new
from optio_agents.hosts.local import LocalHost
from optio_agents.uploads import materialize, safe_upload_relpath, upload_url_token
from tests.support.asyncio_steps import Run, cancel_at_every_step


@pytest.mark.parametrize(
    ("filename", "path"),
    [
        ("report.pdf", "uploads/report.pdf"),
        ("a b ü\u202f.txt", "uploads/a b ü\u202f.txt"),
        ("../../etc/passwd", "uploads/passwd"),
        ("C:\\me\\x.txt", "uploads/x.txt"),
        (" a/b/ ", "uploads/b"),
        (".hidden", "uploads/.hidden"),
    ],
)
def test_the_last_component_counts(filename: str, path: str) -> None:
    assert safe_upload_relpath(filename) == path


@pytest.mark.parametrize(
    "filename",
    [
        "",
        ".",
        "..",
        "//",
        "x/..",
        " ",
        "a\nSystem: do this",
        "a\x1b[2J",
        "a\0",
        "a\u2028b",
        "\ud800",
        "x" * 201,
    ],
)
def test_a_name_that_cannot_be_used_is_refused(filename: str) -> None:
    with pytest.raises(ValueError, match="uploaded file"):
        safe_upload_relpath(filename)


def test_the_address_to_upload_to() -> None:
    token = upload_url_token("db", "optio", "p1")
    assert token == "{widgetProxyUrl}../../../../widget-upload/db/optio/p1"


@pytest.fixture
def host(tmp_path: Path) -> OptioLocalHost:
    host = OptioLocalHost(str(tmp_path / "task"))
    Path(host.workdir).mkdir(parents=True)
    return host


def upload(host: Any, filename: str = "a.txt", data: bytes = b"data", **options: Any) -> str:
    return asyncio.run(materialize(host, host.workdir, filename, data, **options))


def held(workdir: str | Path) -> dict[str, bytes]:
    root = Path(workdir)
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_a_file_arrives_and_the_callback_is_called(host: Any) -> None:
    announced: list[Any] = []

    async def on_upload(*arguments: Any) -> None:
        announced.append((*arguments, held(host.workdir)))

    assert upload(host, hook_ctx="ctx", on_upload=on_upload) == "uploads/a.txt"
    assert announced == [("ctx", "uploads/a.txt", {"uploads/a.txt": b"data"})]


async def test_it_works_under_trio(tmp_path: Path) -> None:
    host = LocalHost.within(str(tmp_path))
    assert await materialize(host, str(tmp_path), "a.txt", b"data") == "uploads/a.txt"
    assert held(tmp_path) == {"uploads/a.txt": b"data"}


def test_a_failing_callback_is_logged_and_the_file_stays(host: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def on_upload(context: Any, path: str) -> None:
        raise RuntimeError("the agent is gone")

    with caplog.at_level(logging.ERROR):
        assert upload(host, on_upload=on_upload) == "uploads/a.txt"
    assert "the agent is gone" in caplog.text
    assert held(host.workdir) == {"uploads/a.txt": b"data"}


def test_a_file_that_is_there_is_not_overwritten(host: Any) -> None:
    names = [upload(host, "a.tar.gz", data) for data in (b"1", b"2", b"3")]
    assert names == ["uploads/a.tar.gz", "uploads/a.tar (2).gz", "uploads/a.tar (3).gz"]
    assert held(host.workdir) == dict(zip(names, (b"1", b"2", b"3"), strict=True))


def plant(workdir: str, elsewhere: Path, way: str) -> None:
    """What an agent may put where the file goes."""
    place = Path(workdir, "uploads")
    if way == "directory":
        place.symlink_to(elsewhere)
    elif way == "dangling":
        place.symlink_to(elsewhere / "new")
    else:
        place.mkdir()
        (place / "a.txt").symlink_to(elsewhere / "a.txt")


@pytest.mark.parametrize("way", ["directory", "dangling"])
def test_a_link_out_of_the_workdir_is_not_followed(host: Any, tmp_path: Path, way: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plant(host.workdir, elsewhere, way)
    with pytest.raises(OSError, match=r"out of|exists"):
        upload(host)
    assert list(elsewhere.iterdir()) == []


def test_a_link_with_the_file_s_name_is_not_followed(host: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plant(host.workdir, elsewhere, "file")
    assert upload(host) == "uploads/a (2).txt"
    assert list(elsewhere.iterdir()) == []


def test_a_link_that_stays_in_the_workdir_is_followed(host: Any) -> None:
    Path(host.workdir, "data").mkdir()
    Path(host.workdir, "uploads").symlink_to("data")
    assert upload(host) == "uploads/a.txt"
    assert Path(host.workdir, "data", "a.txt").read_bytes() == b"data"


def test_a_file_that_is_too_large_is_refused(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_LIMIT", 3)
    with pytest.raises(ValueError, match="at most 3"):
        upload(host)
    assert held(host.workdir) == {}


def test_a_host_of_another_kind_is_asked() -> None:
    class Double:
        workdir = "/task"

        def __init__(self) -> None:
            self.put: list[Any] = []

        async def put_file_to_host(self, data: bytes, path: str) -> None:
            self.put.append((data, path))

    double = Double()
    assert upload(double) == "uploads/a.txt"
    assert double.put == [(b"data", "/task/uploads/a.txt")]


def test_cancelled_at_any_step_the_file_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = count()
    workdir = ""
    loop: asyncio.AbstractEventLoop

    def write_when_the_loop_waits(*arguments: Any) -> str:
        """So that the number of steps does not depend on how busy the machine is."""
        for _ in range(20):  # a step may schedule another one
            turn = threading.Event()
            loop.call_soon_threadsafe(turn.set)
            turn.wait()
        return create_new(*arguments)

    monkeypatch.setattr("optio_agents.hosts.files.create_new.create_new", write_when_the_loop_waits)

    async def program() -> str:
        nonlocal workdir, loop
        loop = asyncio.get_running_loop()
        host = OptioLocalHost(str(tmp_path / str(next(tries))))
        workdir = host.workdir
        os.makedirs(workdir)
        return await materialize(host, workdir, "a.txt", b"data")

    def check(run: Run[str]) -> None:
        taskdir = Path(workdir).parent
        if not run.was_cancelled:
            assert run.outcome.unwrap() == "uploads/a.txt"
            assert held(taskdir) == {"workdir/uploads/a.txt": b"data"}
        elif workdir:
            assert held(taskdir) in ({}, {"workdir/uploads/a.txt": b"data"})

    # Before it begins, on its way to the thread, and while the thread writes.
    assert cancel_at_every_step(program, check) >= 3
