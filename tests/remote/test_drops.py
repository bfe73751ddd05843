"""Sessions over SSH whose connection is cut: in the middle of the log, of a deliverable, and for good."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.hosts.base import LOG_START, LogLost
from optio_agents.hosts.remote import RemoteSessionHost
from optio_agents.hosts.ssh import channels
from optio_agents.hosts.userland import REPORT
from optio_agents.protocol.session import SessionFailed, run_log_protocol_session
from optio_agents.session.outcome import Ending
from tests.support.check_host import Bench
from tests.support.servers import Ssh, running_sshd
from tests.support.ssh_host import connected, ssh_host

pytestmark = pytest.mark.servers
HANG = 90.0


class Ctx:
    """A ctx that keeps what is reported."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.changed = asyncio.Event()

    def report_progress(self, percent: float | None, message: str | None = None, **options: Any) -> None:
        if message is not None:
            self.reported.append(message)
            self.changed.set()

    def should_continue(self) -> bool:
        return True

    async def until_reported(self, text: str) -> None:
        async with asyncio.timeout(HANG):
            while not any(text in message for message in self.reported):
                self.changed.clear()
                await self.changed.wait()


def with_remote_host(
    ssh: Ssh, taskdir: Path, scenario: Callable[[RemoteSessionHost, Bench], Awaitable[None]]
) -> None:
    async def main(boundary: Boundary, host: Any) -> None:
        session_host = RemoteSessionHost(host, boundary)
        await session_host.setup_workdir()
        await session_host.prepare_channel()
        await scenario(session_host, Bench(session_host, taskdir))

    async def program() -> None:
        async with connected(ssh_host(ssh, taskdir)) as host:
            await run_in_trio(lambda boundary: main(boundary, host))

    asyncio.run(program())


def test_a_session_goes_on_when_the_connection_is_cut_in_the_middle_of_its_log(
    ssh: Ssh, tmp_path: Path
) -> None:
    log = tmp_path / "workdir" / "optio.log"
    ctx = Ctx()
    taken: list[tuple[str, str]] = []

    def say(text: str) -> None:
        with log.open("a") as out:
            out.write(text)

    async def body(host: Any, hook_context: Any) -> None:
        for cut in range(3):
            say(f"STATUS: before cut {cut}\nSTATUS: half a li")
            await ctx.until_reported(f"before cut {cut}")
            assert ssh.cut() > 0
            say(f"ne {cut}\n")
            await ctx.until_reported(f"half a line {cut}")
        (tmp_path / "workdir" / "deliverables" / "late").write_text("late")
        say("DELIVERABLE: deliverables/late\nDONE: after three cuts\n")
        await asyncio.sleep(HANG)

    async def on_deliverable(hook_context: Any, path: str, text: str) -> None:
        taken.append((path, text))

    async def program() -> None:
        async with connected(ssh_host(ssh, tmp_path)) as host:
            outcome = await run_log_protocol_session(host, ctx, body=body, on_deliverable=on_deliverable)
            assert outcome.ending is Ending.DONE
            assert outcome.message == "after three cuts"

    asyncio.run(program())
    assert taken == [("late", "late")]
    lines = [line for line in ctx.reported if "cut" in line or "half" in line]
    expected = [line for cut in range(3) for line in (f"before cut {cut}", f"half a line {cut}")]
    assert [line for line in lines if line in expected] == expected


def test_a_deliverable_is_read_on_when_the_connection_is_cut_in_its_middle(ssh: Ssh, tmp_path: Path) -> None:
    content = os.urandom(24 << 20)

    async def scenario(host: RemoteSessionHost, bench: Bench) -> None:
        (bench.deliverables / "big").write_bytes(content)
        digest, cuts = hashlib.sha256(), 0
        with trio.fail_after(HANG):
            async with host.open_deliverable("big", limit=1 << 30) as deliverable:
                assert deliverable.size == len(content)
                received = 0
                async for piece in deliverable.chunks():
                    digest.update(piece)
                    received += len(piece)
                    # What was on its way is still read afterwards, and only then a new connection is made.
                    if received > (cuts + 1) * (4 << 20) and cuts < 3 and ssh.cut():
                        cuts += 1
        assert cuts >= 2
        assert digest.digest() == hashlib.sha256(content).digest()

    with_remote_host(ssh, tmp_path, scenario)


def test_a_deliverable_that_changed_while_the_connection_was_away_is_refused(
    ssh: Ssh, tmp_path: Path
) -> None:
    async def scenario(host: RemoteSessionHost, bench: Bench) -> None:
        from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

        file = bench.deliverables / "big"
        file.write_bytes(bytes(8 << 20))
        with trio.fail_after(HANG), pytest.raises(DeliverableRejected, match="changed") as caught:
            async with host.open_deliverable("big", limit=1 << 30) as deliverable:
                async for _ in deliverable.chunks():
                    other = bench.deliverables / "other"
                    other.write_bytes(bytes(9 << 20))
                    other.rename(file)
                    ssh.cut()
        assert caught.value.kind is RejectionKind.CHANGED

    with_remote_host(ssh, tmp_path, scenario)


def test_a_log_whose_host_is_gone_for_good_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "RECONNECT", 0.5)

    with running_sshd(tmp_path) as ssh:

        async def scenario(host: RemoteSessionHost, bench: Bench) -> None:
            bench.write("one\n")
            with trio.fail_after(HANG):
                with pytest.raises(LogLost, match="connection was lost"):
                    async with bench.reading() as reading:
                        assert await reading.lines(1) == [b"one"]
                        ssh.stop()
                        await reading.lines(1)
                with pytest.raises(LogLost, match="no SSH connection"):
                    async with bench.reading(LOG_START):
                        pass

        with_remote_host(ssh, tmp_path, scenario)


def test_a_session_whose_host_is_gone_for_good_fails_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "RECONNECT", 0.2)
    ctx = Ctx()

    with running_sshd(tmp_path) as ssh:

        async def body(host: Any, hook_context: Any) -> None:
            (tmp_path / "task" / "workdir" / "optio.log").write_text("STATUS: running\n")
            await ctx.until_reported("running")
            ssh.stop()
            await asyncio.sleep(HANG)

        async def program() -> None:
            host = ssh_host(ssh, tmp_path / "task")
            async with connected(host):
                with pytest.raises(SessionFailed, match="SSH connection"):
                    await run_log_protocol_session(host, ctx, body=body)

        asyncio.run(program())


def test_without_python_over_there_the_log_is_followed_by_tail(
    ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "REPORT", REPORT.replace("python3", "no-such-python3"))

    async def scenario(host: RemoteSessionHost, bench: Bench) -> None:
        async with bench.reading() as reading:
            bench.write("one\ntwo\n")
            assert await reading.lines(2) == [b"one", b"two"]
            position = reading.position
        bench.write("three\nDONE")
        async with bench.reading(position) as reading:
            assert await reading.rest() == [b"three", b"DONE"]

    with_remote_host(ssh, tmp_path, scenario)
