"""Every operation on a seed is cancelled at every step of the loop: the seed stays whole, and nothing is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from optio_host.host import LocalHost

from optio_agents import seeds
from tests.seeds.lab import NAMED, Lab, files_of, left_beside, open_lab
from tests.support.asyncio_steps import Run, cancel_at_every_step

pytestmark = pytest.mark.servers

# A run with commands on a host takes 200 ms, and there are 200 of them: all in the gate, a sample at a desk.
STRIDE = 1 if os.environ.get("CI") else 5

OLD, NEW = {".agent/a": "old"}, {".agent/a": "new"}


async def capture(lab: Lab, seed_id: str) -> None:
    await lab.capture(await lab.host("live", _agent__a="new"))


async def refresh(lab: Lab, seed_id: str) -> None:
    await lab.refresh(await lab.host("live", _agent__a="new"), seed_id)


async def overwrite(lab: Lab, seed_id: str) -> None:
    await lab.overwrite(seed_id, ".agent/a", b"new")


async def purge(lab: Lab, seed_id: str) -> None:
    await seeds.purge_seed(lab.db, seed_id=seed_id, **NAMED)


async def plant(lab: Lab, seed_id: str) -> None:
    await lab.plant(await lab.host("live"), seed_id)


@pytest.mark.parametrize(
    ("operation", "outcomes", "times"),
    [
        (capture, [[OLD], [OLD, NEW]], 1),
        (refresh, [[OLD], [NEW]], 1),
        (overwrite, [[OLD], [NEW]], 1),
        (overwrite, [[OLD], [NEW]], 2),
        (purge, [[OLD], []], 1),
        (plant, [[OLD]], 1),
    ],
)
def test_cancelled_at_every_step(
    database: str,
    tmp_path: Path,
    operation: Callable[[Lab, str], Awaitable[None]],
    outcomes: list[list[dict[str, str]]],
    times: int,
) -> None:
    async def prepare() -> str:
        async with open_lab(database, tmp_path) as lab:
            return await lab.make(".agent/a", "old")

    async def program() -> None:
        async with open_lab(database, tmp_path) as lab:
            await operation(lab, seed_id)

    async def look() -> None:
        async with open_lab(database, tmp_path) as lab:
            await lab.assert_only_listed_blobs()
            listed = [each["seedId"] for each in await seeds.list_seeds(lab.db, **NAMED)]
            assert [await lab.contents(each) for each in listed] in outcomes
            live = LocalHost(str(tmp_path / "live"))
            if Path(live.taskdir).exists():
                assert left_beside(live) == []
                assert operation is not plant or files_of(live) in ({}, OLD)
            for each in listed:
                await seeds.purge_seed(lab.db, seed_id=each, **NAMED)

    seed_id = asyncio.run(prepare())

    def check(result: Run[None]) -> None:
        nonlocal seed_id
        assert result.was_cancelled or not result.fired or _is_value(result)
        assert not result.left, result.left
        asyncio.run(look())
        seed_id = asyncio.run(prepare())

    assert cancel_at_every_step(program, check, times=times, stride=STRIDE) > 10


def _is_value(result: Run[None]) -> bool:
    result.outcome.unwrap()
    return True
