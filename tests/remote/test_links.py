"""Sessions over links that are slow, are cut at any byte, or stand still: one outcome, and nothing left."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass
from pathlib import Path
from types import CoroutineType

import pytest

from optio_agents.hosts.ssh import channels, connecting
from optio_agents.hosts.ssh.connecting import CannotConnect
from optio_agents.session.options import SessionOptions
from tests.support.descriptors import open_descriptors
from tests.support.link import linked
from tests.support.remote_task import HANG, Ctx, Delivered, processes, remote_task, run, soon, still_running
from tests.support.servers import Ssh

pytestmark = pytest.mark.servers

SEEDS = range(int(os.environ.get("OPTIO_AGENTS_TEST_LINKS", "6")))
GOLDEN = 0.6180339887498949
"""Its multiples are spread evenly over a circle, however many there are."""

CONTENT = 3000
"""Bytes of the deliverable: few, so that every phase of a session is hit about as often."""

AGENT = f"""
echo 'STATUS: 40% half way' >> optio.log
head -c {CONTENT} /dev/zero > deliverables/big; echo 'DELIVERABLE: deliverables/big' >> optio.log
read -r reply; echo "STATUS: 60% heard $reply" >> optio.log; echo 'DONE: all of it' >> optio.log; sleep 60
"""


@dataclass(frozen=True)
class Trouble:
    """What a link does to one session."""

    share: float
    """Of a session's bytes, after which it happens."""
    freezes: bool
    """Connections stand still, where they are cut otherwise."""
    delay: float
    """Seconds by which each piece is late."""
    rate: float | None
    """Bytes per second."""

    @classmethod
    def of(cls, seed: int) -> Trouble:
        choose = random.Random(seed)
        delay, rate = choose.choice([(0.0, None), (0.0, None), (0.02, None), (0.0, 10_000.0)])
        return cls((seed * GOLDEN) % 1.0, freezes=seed % 4 == 3, delay=delay, rate=rate)


class LinkedSession:
    """A whole session over a link, and what is left of it on our side."""

    def __init__(self, ssh: Ssh, directory: Path) -> None:
        self.ctx, self.delivered = Ctx(), Delivered()
        self.taskdir = directory / "task"
        self.carried = 0
        self.left: list[str] = []
        self._ssh, self._directory = ssh, directory

    async def run(self, trouble: Trouble | None = None, total: int = 0) -> BaseException | None:
        """Run it; what it has raised."""
        async with linked(self._ssh, self._directory) as (link, over):
            if trouble is not None:
                at = int(trouble.share * total)
                link.delay, link.rate = trouble.delay, trouble.rate
                link.freeze_at, link.cut_at = (at, None) if trouble.freezes else (None, at)
            task = remote_task(over, self.taskdir, AGENT, on_deliverable_file=self.delivered)
            raised = (await asyncio.gather(task.execute(self.ctx), return_exceptions=True))[0]
            self.carried = link.carried
            self.left = [repr(each) for each in asyncio.all_tasks() if _is_of_the_product(each)]
            assert raised is None or isinstance(raised, BaseException)
            return raised


def _is_of_the_product(task: asyncio.Task[object]) -> bool:
    coroutine = task.get_coro()
    return (
        isinstance(coroutine, CoroutineType) and f"{os.sep}tests{os.sep}" not in coroutine.cr_code.co_filename
    )


@pytest.fixture(scope="module")
def total(ssh: Ssh, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many bytes a session is."""
    session = LinkedSession(ssh, tmp_path_factory.mktemp("whole"))
    assert run(session.run()) is None
    return session.carried


@pytest.mark.parametrize("seed", SEEDS)
def test_trouble_at_any_byte_of_a_session_costs_nothing(
    ssh: Ssh, total: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(connecting, "KEEPALIVE_SECONDS", 1.0)
    monkeypatch.setattr(connecting, "LOGIN_SECONDS", 10.0)
    trouble, session, before = Trouble.of(seed), LinkedSession(ssh, tmp_path), set(open_descriptors())
    outcome = run(session.run(trouble, total))
    said = session.ctx.said
    note = f"seed {seed}, {trouble}, a session is {total} bytes: {outcome!r}, {said}"
    if isinstance(outcome, CannotConnect):
        assert not said, note  # it was logging in
    else:
        assert outcome is None, note
        assert {path: len(content) for path, content in session.delivered.items()} == {"big": CONTENT}, note
        assert len([each for each in said if "big: accepted" in each]) == 1, note
    assert not session.taskdir.exists(), note
    assert still_running(str(session.taskdir)) == [], note
    assert session.left == [], note
    assert set(open_descriptors()) <= before, note


@pytest.mark.parametrize("way", ["refused", "frozen"])
def test_a_host_that_is_gone_for_good_is_one_error_and_its_guard_ends_the_agent(
    ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(channels, "RECONNECT", 1.0)
    monkeypatch.setattr(channels, "AGAIN", 0.1)
    monkeypatch.setattr(connecting, "KEEPALIVE_SECONDS", 0.5)
    ctx, sleep = Ctx(), f"sleep {random.randrange(10**8, 10**9)}"

    async def program() -> None:
        async with linked(ssh, tmp_path) as (link, over):
            command = f"echo 'STATUS: 5% at work' >> optio.log; exec {sleep}"
            task = remote_task(over, tmp_path / "task", command, orphan_grace=3.0)
            running = asyncio.ensure_future(task.execute(ctx))
            await ctx.until_said("at work")
            if way == "refused":
                link.refuse = True
                link.cut()
            else:
                link.is_gone = True
                link.freeze()
            with pytest.raises(
                OSError, match=r"connection to root@127\.0\.0\.1:\d+ was lost|connection was lost"
            ):
                async with asyncio.timeout(HANG):
                    await running
        await soon(lambda: processes(sleep) == [])
        # The task's directory stays, for a resume; no guard does.
        assert (tmp_path / "task" / "workdir" / "optio.log").exists()
        await soon(lambda: processes(str(tmp_path / "task")) == [])

    run(program())


def test_a_link_that_is_slow_but_steady_is_not_late(ssh: Ssh, tmp_path: Path) -> None:
    delivered = Delivered()

    async def program() -> None:
        async with linked(ssh, tmp_path) as (link, over):
            options = SessionOptions(drain_timeout=6.0, cancel_grace=30.0)
            task = remote_task(
                over, tmp_path / "task", script, on_deliverable_file=delivered, options=options
            )
            ctx = Ctx()
            running = asyncio.ensure_future(task.execute(ctx))
            await ctx.until_said("ready")
            link.rate = 40_000.0  # it takes longer than a drain may be without progress
            (tmp_path / "go").touch()
            await running

    script = f"""
        head -c 300000 /dev/zero > deliverables/big; echo 'STATUS: ready' >> optio.log
        while [ ! -e {tmp_path}/go ]; do sleep 0.1; done
        echo 'DELIVERABLE: deliverables/big' >> optio.log; echo DONE >> optio.log; sleep 60
    """
    run(program())
    assert [len(content) for content in delivered.values()] == [300_000]


def test_a_task_can_be_cancelled_while_its_connection_is_away(ssh: Ssh, tmp_path: Path) -> None:
    ctx, sleep = Ctx(), f"sleep {random.randrange(10**8, 10**9)}"

    async def program() -> None:
        async with linked(ssh, tmp_path) as (link, over):
            command = f"echo 'STATUS: 5% at work' >> optio.log; exec {sleep}"
            running = asyncio.ensure_future(remote_task(over, tmp_path / "task", command).execute(ctx))
            await ctx.until_said("at work")
            link.refuse = True
            link.cut()
            ctx.cancellation_flag.set()
            await asyncio.sleep(0.5)
            link.refuse = False
            async with asyncio.timeout(HANG):
                await asyncio.gather(running, return_exceptions=True)
        await soon(lambda: processes(sleep) == [])

    run(program())
