"""A worker is killed between any two of its steps, and the seed stays complete in every case."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optio_agents import seeds
from optio_agents.seeds.home import STAGE_PREFIX
from tests.seeds.lab import NAMED, PREFIX, SUFFIX, Lab, run

pytestmark = pytest.mark.servers

OLD = {".agent/a": "old", ".config/agent.json": "kept"}
NEW = {".agent/a": "new", ".config/agent.json": "kept"}

OUTCOMES: dict[str, list[list[dict[str, str]]]] = {
    # what the seeds, in the order in which they were made, may hold afterwards
    "capture": [[OLD], [OLD, {".agent/a": "new"}]],
    "refresh": [[OLD], [NEW]],
    "overwrite": [[OLD], [NEW]],
    "purge": [[OLD], []],
    "plant": [[OLD]],
}


@contextmanager
def cut_worker(url: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.seeds.cut_worker", url, str(root)]
    cwd = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("operation", OUTCOMES)
def test_a_crash_between_any_two_steps_leaves_every_seed_whole(
    database: str, tmp_path: Path, operation: str
) -> None:
    seen: list[list[dict[str, str]]] = []

    async def prepare(lab: Lab) -> str:
        await lab.host("live", _agent__a="new")
        return await lab.capture(
            await lab.host("made", **{"_agent__a": "old", "_config__agent.json": "kept"})
        )

    async def check(lab: Lab) -> None:
        listed = [each["seedId"] for each in await seeds.list_seeds(lab.db, **NAMED)]
        seen.append([await lab.contents(each) for each in listed])
        assert seen[-1] in OUTCOMES[operation]
        assert [path.name for path in (lab.root / "live/workdir").iterdir()] == ["home"]
        for path in (lab.root / "live").glob(f"{STAGE_PREFIX}*"):
            assert path.stat().st_mode & 0o777 == 0o700
        await seeds.sweep_blobs(lab.db, older_than=0, prefix=PREFIX, suffix=SUFFIX)
        await lab.assert_only_listed_blobs()
        for each in listed:
            await seeds.purge_seed(lab.db, seed_id=each, **NAMED)
        await lab.assert_only_listed_blobs()

    with cut_worker(database, tmp_path) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        for step in range(1, 100):
            seed_id = run(database, tmp_path, prepare)
            worker.stdin.write(f"{operation} {seed_id} {step}\n")
            worker.stdin.flush()
            answer = worker.stdout.readline().strip()
            assert answer in ("cut", "finished")
            try:
                run(database, tmp_path, check)
            except BaseException as failure:
                failure.add_note(f"{operation} was cut at step {step}")
                raise
            if answer == "finished":
                break
        else:
            pytest.fail("the operation has more than 100 steps")
    assert step > 3
    assert all(outcome in seen for outcome in OUTCOMES[operation])  # cut early enough, and late enough
