from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

import actors
from tests.support.sample_actors import keep

ROOT = Path(__file__).parents[3]


def test_loading_the_plugin_imports_neither_trio_nor_the_runtime() -> None:
    code = (
        "import sys, actors.testing.plugin\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('trio', 'outcome', 'actors')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "['actors', 'actors.testing', 'actors.testing.plugin']"


async def test_the_supervisor_fixture_is_open(actor_supervisor: actors.Supervisor) -> None:
    log: list[Any] = []
    ref = await actor_supervisor.start(actors.actor(keep, log))
    await ref.tell(1)
    ref.stop()
    await ref.wait()
    assert log == [1]


def test_the_step_fixtures_are_the_functions_of_the_kit(
    cancel_at_every_step: Callable[..., Any], fail_at_every_step: Callable[..., Any], no_leaks: None
) -> None:
    def build() -> tuple[Callable[[], Any], Callable[[], None]]:
        return trio.lowlevel.checkpoint, lambda: None

    assert cancel_at_every_step(build, seeds=[0]).points == 2
    assert fail_at_every_step(build, seeds=[0]).points == 0
