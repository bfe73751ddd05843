"""Sessions over links that are slow, are cut at any byte, or stand still: one outcome, and nothing left."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from optio_agents.hosts.ssh import channels, connecting
from optio_agents.hosts.ssh.connecting import CannotConnect
from optio_agents.session.options import SessionOptions
from tests.support.link import linked
from tests.support.remote_task import HANG, Ctx, Delivered, processes, remote_task, run, soon
from tests.support.servers import Ssh

pytestmark = pytest.mark.servers

CUTS = int(os.environ.get("OPTIO_AGENTS_TEST_CUTS", "5"))
NEVER = 1 << 40

CONTENT = 200_000

AGENT = f"""
echo 'STATUS: 40% half way' >> optio.log
head -c {CONTENT} /dev/zero > deliverables/big; echo 'DELIVERABLE: deliverables/big' >> optio.log
read -r reply; echo "STATUS: 60% heard $reply" >> optio.log; echo 'DONE: all of it' >> optio.log; sleep 60
"""


async def session(ssh: Ssh, directory: Path, cut_at: int) -> tuple[int, BaseException | None, Ctx, Delivered]:
    """A whole session, cut at a byte; how many bytes it was, and what it raised."""
    ctx, delivered = Ctx(), Delivered()
    async with linked(ssh, directory) as (link, over):
        link.cut_at = cut_at
        task = remote_task(over, directory / "task", AGENT, on_deliverable_file=delivered)
        raised: BaseException | None = (await asyncio.gather(task.execute(ctx), return_exceptions=True))[0]
        return link.carried, raised, ctx, delivered


def test_a_cut_at_any_byte_of_a_session_costs_nothing(ssh: Ssh, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    total, raised, *_ = run(session(ssh, tmp_path / "whole", NEVER))
    assert raised is None
    for seed in range(CUTS):
        random.seed(seed)
        # In equal parts, so that few seeds reach all phases as well.
        cut_at = int((seed + random.random()) * total / CUTS)
        directory = tmp_path / str(seed)
        directory.mkdir()
        _, outcome, ctx, delivered = run(session(ssh, directory, cut_at))
        note = f"seed {seed}, cut at byte {cut_at} of {total}: {outcome!r}, {ctx.said}"
        if isinstance(outcome, CannotConnect):
            assert not ctx.said, note  # it was cut while logging in
        else:
            assert outcome is None, note
            assert {path: len(content) for path, content in delivered.items()} == {"big": CONTENT}, note
            assert len([each for each in ctx.said if "big: accepted" in each]) == 1, note
        assert not (directory / "task").exists(), note
        assert processes(str(directory / "task")) == [], note


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
                link.freeze_at = 0
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
            options = SessionOptions(drain_timeout=1.0, cancel_grace=3.0)
            task = remote_task(
                over, tmp_path / "task", script, on_deliverable_file=delivered, options=options
            )
            ctx = Ctx()
            running = asyncio.ensure_future(task.execute(ctx))
            await ctx.until_said("ready")
            link.rate = 100_000.0
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
