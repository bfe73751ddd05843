"""What every session's host promises: one list of checks, run on all of them.

Each check is a Trio coroutine function `check(bench)`. The hosts under test all work on this machine (over SSH, too),
so that the bench can do to the workdir what an agent would do.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from optio_agents.hosts.base import LINE_LIMIT, LOG_START, WINDOW_LIMIT, LogPosition, LogReader, SessionHost
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind
from tests.support.permissions import file_modes_count

HANG = 60.0
Check = Callable[["Bench"], Awaitable[None]]


@dataclass
class Bench:
    """A host with its workdir set up and its channel prepared."""

    host: SessionHost
    root: Path
    """The directory around the workdir."""

    @property
    def workdir(self) -> Path:
        return Path(self.host.workdir)

    @property
    def log(self) -> Path:
        return self.workdir / "optio.log"

    @property
    def deliverables(self) -> Path:
        return self.workdir / "deliverables"

    def write(self, text: str | bytes) -> None:
        with self.log.open("ab") as log:
            log.write(text.encode() if isinstance(text, str) else text)

    @asynccontextmanager
    async def reading(
        self, position: LogPosition = LOG_START, settled: Callable[[bytes], bool] = lambda partial: False
    ) -> AsyncIterator[Reading]:
        with trio.fail_after(HANG):
            async with self.host.open_log(position, settled=settled) as reader:
                yield Reading(reader, position)

    async def fetch(self, path: str, limit: int = 1 << 20) -> bytes:
        with trio.fail_after(HANG):
            async with self.host.open_deliverable(path, limit=limit) as deliverable:
                content = b"".join([piece async for piece in deliverable.chunks()])
                assert len(content) == deliverable.size
                return content

    async def rejected(self, path: str, limit: int = 1 << 20) -> RejectionKind:
        with pytest.raises(DeliverableRejected) as caught:
            await self.fetch(path, limit)
        assert caught.value.detail
        return caught.value.kind


class Reading:
    """A log that is being read, and the position behind what was taken so far."""

    def __init__(self, reader: LogReader, position: LogPosition) -> None:
        self.reader = reader
        self.position = position
        self.cut = 0
        self.lost = 0

    async def lines(self, number: int) -> list[bytes]:
        taken: list[bytes] = []
        while len(taken) < number:
            taken += await self._window()
        return taken

    async def rest(self) -> list[bytes]:
        self.reader.finish()
        taken: list[bytes] = []
        while True:
            lines = await self._window(may_end=True)
            if lines is None:
                return taken
            taken += lines

    async def _window(self, *, may_end: bool = False) -> list[bytes]:
        window = await self.reader.read()
        if window is None:
            assert may_end, "the log ended"
            return None  # type: ignore[return-value]
        assert len(window.data) <= WINDOW_LIMIT
        assert not window.data or window.data.endswith(b"\n")
        self.position = window.end
        self.cut += window.cut
        self.lost += window.lost
        return window.data.split(b"\n")[:-1]


async def channel_is_empty(bench: Bench) -> None:
    assert bench.log.read_bytes() == b""
    assert list(bench.deliverables.iterdir()) == []
    assert list(bench.root.iterdir()) == [bench.workdir] or bench.workdir.parent != bench.root


async def channel_replaces_links(bench: Bench) -> None:
    outside = bench.root / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    bench.deliverables.rmdir()
    bench.deliverables.symlink_to(outside)
    bench.log.unlink()
    bench.log.symlink_to(outside / "precious")
    await bench.host.prepare_channel()
    assert not bench.deliverables.is_symlink()
    assert not bench.log.is_symlink()
    assert bench.log.read_bytes() == b""
    assert (outside / "precious").read_text() == "precious"


async def log_lines_arrive_in_order_and_once(bench: Bench) -> None:
    async with bench.reading() as reading:
        bench.write("one\ntwo\n")
        assert await reading.lines(2) == [b"one", b"two"]
        bench.write("three\n")
        assert await reading.lines(1) == [b"three"]
        bench.write("".join(f"{number}\n" for number in range(5000)))
        assert await reading.lines(5000) == [str(number).encode() for number in range(5000)]
        assert await reading.rest() == []


async def log_resumes_behind_the_last_window(bench: Bench) -> None:
    bench.write("one\ntwo\n")
    async with bench.reading() as reading:
        assert await reading.lines(2) == [b"one", b"two"]
        position = reading.position
    bench.write("three\nfour\n")
    async with bench.reading(position) as reading:
        assert await reading.lines(2) == [b"three", b"four"]
        assert await reading.rest() == []


async def log_is_read_to_its_end_however_far_behind(bench: Bench) -> None:
    bench.write("x" * 99 + "\n")
    bench.write(("y" * 99 + "\n") * 20_000)
    bench.write("DONE")
    async with bench.reading() as reading:
        lines = await reading.rest()
    assert len(lines) == 20_002
    assert lines[-1] == b"DONE"


async def log_ends_lines_at_carriage_returns(bench: Bench) -> None:
    bench.write("1%\r2%\r3%\nlast\r\n")
    async with bench.reading() as reading:
        assert await reading.rest() == [b"1%", b"2%", b"3%", b"last"]


async def log_cuts_lines_that_are_too_long(bench: Bench) -> None:
    bench.write("a\n" + "x" * (3 * LINE_LIMIT) + "\nb\n")
    async with bench.reading() as reading:
        lines = await reading.rest()
    assert [lines[0], lines[2]] == [b"a", b"b"]
    assert len(lines[1]) <= LINE_LIMIT
    assert reading.cut == 1


async def log_accepts_a_settled_line_without_end(bench: Bench) -> None:
    asked: list[bytes] = []

    def settled(partial: bytes) -> bool:
        asked.append(partial)
        return partial == b"DONE"

    async with bench.reading(settled=settled) as reading:
        bench.write("one\nDONE")
        assert await reading.lines(2) == [b"one", b"DONE"]
        bench.write("\n")
        bench.write("two\n")
        assert await reading.lines(1) == [b"two"]
        assert await reading.rest() == []
    assert asked == [b"DONE"]


async def log_sees_truncation_and_replacement(bench: Bench) -> None:
    async with bench.reading() as reading:
        bench.write("first generation\n")
        assert await reading.lines(1) == [b"first generation"]
        bench.log.write_text("rewritten, and longer than what was there\n")
        assert await reading.lines(1) == [b"rewritten, and longer than what was there"]
        bench.log.write_text("short\n")
        assert await reading.lines(1) == [b"short"]
        new = bench.workdir / "new"
        new.write_text("replaced\n")
        new.rename(bench.log)
        assert await reading.lines(1) == [b"replaced"]
        assert await reading.rest() == []


async def log_begun_again_with_the_same_bytes_is_handled_again(bench: Bench) -> None:
    """An agent that announces one path after each correction writes the same line with `>`, or into a new file."""
    line = "DELIVERABLE: deliverables/report\n"
    bench.write(line)
    async with bench.reading() as reading:
        await reading.lines(1)
        for command in (
            "printf '%s' \"$LINE\" > optio.log",
            "rm optio.log; printf '%s' \"$LINE\" > optio.log",
            "mv optio.log optio.log.1; printf '%s' \"$LINE\" > optio.log",
            "printf '%s' \"$LINE\" > new; mv new optio.log",
        ):
            await trio.sleep(0.1)  # past the tick of the file system's clock
            await trio.run_process(command, shell=True, cwd=bench.workdir, env={**os.environ, "LINE": line})
            assert await reading.lines(1) == [line.strip().encode()], command
        assert await reading.rest() == []


async def log_with_a_hole_is_read_in_time(bench: Bench) -> None:
    """200 GB that take no room on the disk."""
    bench.write("before\n")
    os.truncate(bench.log, 2 * 10**11)
    bench.write("\nafter\n")
    async with bench.reading() as reading:
        before, cut, after = await reading.rest()
    assert (before, len(cut), after) == (b"before", LINE_LIMIT, b"after")
    assert reading.cut == 1


async def log_that_grows_for_ever_is_left_after_finish(bench: Bench) -> None:
    bench.write("first\n")
    async with bench.reading() as reading:
        command = "while :; do echo more >> optio.log; done"
        writer = await trio.lowlevel.open_process(["sh", "-c", command], cwd=bench.workdir)
        try:
            await reading.lines(10)
            await reading.rest()
        finally:
            writer.kill()
            with trio.CancelScope(shield=True):
                await writer.wait()


async def log_resumed_after_a_rewrite_begins_anew(bench: Bench) -> None:
    bench.write("one\ntwo\n")
    async with bench.reading() as reading:
        await reading.lines(2)
        position = reading.position
    bench.log.write_text("another\nlog\nwith more lines\n")
    async with bench.reading(position) as reading:
        assert await reading.rest() == [b"another", b"log", b"with more lines"]


async def deliverables_are_read(bench: Bench) -> None:
    content = os.urandom(700_000)
    (bench.deliverables / "sub dir").mkdir()
    for name in (
        "plain",
        "sub dir/a b",
        "-n",
        "quo'te\"; touch injected #",
        "new\nline",
        "$(touch injected)",
        "ü",
    ):
        (bench.deliverables / name).write_bytes(content)
        assert await bench.fetch(name) == content
    (bench.deliverables / "empty").touch()
    assert await bench.fetch("empty") == b""
    assert not list(bench.root.rglob("injected"))


async def deliverables_may_be_links_that_stay_inside(bench: Bench) -> None:
    (bench.deliverables / "real").write_text("real")
    (bench.deliverables / "link").symlink_to("real")
    assert await bench.fetch("link") == b"real"


async def deliverables_are_refused_for_what_is_wrong_with_them(bench: Bench) -> None:
    secret = bench.root / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    (bench.workdir / "beside").write_text("not delivered")
    root = bench.deliverables
    (root / "directory").mkdir()
    os.mkfifo(root / "fifo")
    (root / "absolute").symlink_to(secret / "file")
    (root / "relative").symlink_to("../beside")
    (root / "through").symlink_to(secret)
    (root / "dangling").symlink_to("nowhere")
    (root / "device").symlink_to("/dev/zero")
    (root / "large").write_bytes(bytes(1001))
    expected = {
        "missing": RejectionKind.MISSING,
        "missing/too": RejectionKind.MISSING,
        "dangling": RejectionKind.MISSING,
        "directory": RejectionKind.NOT_REGULAR,
        "fifo": RejectionKind.NOT_REGULAR,
        "absolute": RejectionKind.OUTSIDE,
        "relative": RejectionKind.OUTSIDE,
        "through/file": RejectionKind.OUTSIDE,
        "device": RejectionKind.OUTSIDE,
        "large": RejectionKind.TOO_LARGE,
        "nul\0": RejectionKind.INVALID_PATH,
        "x" * 300: RejectionKind.INVALID_PATH,
    }
    seen = {path: await bench.rejected(path, limit=1000) for path in expected}
    assert seen == expected


async def deliverables_directory_that_is_a_link_is_refused(bench: Bench) -> None:
    outside = bench.root / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    bench.deliverables.rmdir()
    bench.deliverables.symlink_to(outside)
    assert await bench.rejected("file") is RejectionKind.OUTSIDE


async def deliverables_that_may_not_be_read_are_refused(bench: Bench) -> None:
    file = bench.deliverables / "file"
    file.write_text("x")
    file.chmod(0)
    with file_modes_count():
        assert await bench.rejected("file") is RejectionKind.UNREADABLE


async def deliverables_that_change_while_they_are_read_are_refused(bench: Bench) -> None:
    """More than what waits in pipes and channels, so that the rest is read after the change."""
    file = bench.deliverables / "state"

    def rewrite() -> None:
        with file.open("r+b") as open_file:
            open_file.write(b"B" * (16 << 20))

    def append() -> None:
        with file.open("ab") as open_file:
            open_file.write(b"B")

    for change in (rewrite, append, lambda: os.truncate(file, 8 << 20)):
        file.write_bytes(b"A" * (16 << 20))
        await trio.sleep(0.1)  # past the tick of the file system's clock
        with trio.fail_after(HANG), pytest.raises(DeliverableRejected) as caught:
            async with bench.host.open_deliverable("state", limit=1 << 25) as deliverable:
                pieces = aiter(deliverable.chunks())
                await anext(pieces)
                change()
                async for _ in pieces:
                    pass
        assert caught.value.kind is RejectionKind.CHANGED


async def scripts_are_installed(bench: Bench) -> None:
    text = '#!/bin/sh\necho "it\'s $1"\n'
    directory = await bench.host.install_scripts("bin", {"tool": text, "other": "#!/bin/sh\n"})
    assert directory == str(bench.workdir / "bin")
    tool = Path(directory) / "tool"
    assert tool.stat().st_mode & stat.S_IXUSR
    answer = subprocess.run([tool, "me"], capture_output=True, text=True, check=True, timeout=HANG)
    assert answer.stdout == "it's me\n"
    assert sorted(path.name for path in Path(directory).iterdir()) == ["other", "tool"]


async def the_search_path_is_the_one_of_its_commands(bench: Bench) -> None:
    assert "/bin" in (await bench.host.search_path()).split(":")


CHECKS: list[Check] = [
    channel_is_empty,
    channel_replaces_links,
    log_lines_arrive_in_order_and_once,
    log_resumes_behind_the_last_window,
    log_is_read_to_its_end_however_far_behind,
    log_ends_lines_at_carriage_returns,
    log_cuts_lines_that_are_too_long,
    deliverables_are_read,
    deliverables_may_be_links_that_stay_inside,
    deliverables_are_refused_for_what_is_wrong_with_them,
    deliverables_directory_that_is_a_link_is_refused,
    scripts_are_installed,
    the_search_path_is_the_one_of_its_commands,
]

CHECKS_OF_BYTES: list[Check] = [
    log_accepts_a_settled_line_without_end,
    log_sees_truncation_and_replacement,
    log_begun_again_with_the_same_bytes_is_handled_again,
    log_with_a_hole_is_read_in_time,
    log_that_grows_for_ever_is_left_after_finish,
    log_resumed_after_a_rewrite_begins_anew,
    deliverables_that_change_while_they_are_read_are_refused,
]
"""For a host that shows bytes as they come, and so sees truncation and lines without an end."""

CHECKS_OF_MODES: list[Check] = [deliverables_that_may_not_be_read_are_refused]
"""For a host whose commands are children of ours: a server that runs as root reads everything."""
