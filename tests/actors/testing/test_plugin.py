from __future__ import annotations

import os
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


def project(folder: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Another project, whose tests run with the packages that are installed here."""
    for name, text in files.items():
        folder.joinpath(name).parent.mkdir(exist_ok=True)
        folder.joinpath(name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "."]
    # Without the options of the run that we are part of.
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False, timeout=300
    )


def test_a_project_with_its_own_package_actors_can_run_its_tests(tmp_path: Path) -> None:
    run = project(
        tmp_path,
        {
            "actors/__init__.py": "LIVES = 3",
            "test_lives.py": "import actors\n\n\ndef test_lives():\n    assert actors.LIVES == 3\n",
        },
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr


def test_a_foreign_package_actors_is_named_when_optio_agents_is_imported(tmp_path: Path) -> None:
    run = project(tmp_path, {"actors.py": "LIVES = 3", "test_it.py": "import optio_agents"})
    assert run.returncode != 0
    assert f"another package named 'actors' hides the one that optio-agents brings: {tmp_path}" in run.stdout


ASSERTING = """\
import actors
import pytest
import trio


async def check(me):
    async for message in me:
        if message == "other":
            raise ValueError("no assertion")
        assert message == 2, "the wrong message came"


@pytest.mark.trio
@pytest.mark.parametrize("message", [1, 2, "other"])
@pytest.mark.parametrize("restart", [actors.TEMPORARY, actors.TRANSIENT])
async def test_it(actor_supervisor, message, restart):
    ref = await actor_supervisor.start(actors.actor(check), restart=restart)
    await ref.tell(message)
    await trio.testing.wait_all_tasks_blocked()
"""


def test_an_assertion_that_fails_inside_an_actor_fails_the_test(tmp_path: Path) -> None:
    run = project(
        tmp_path,
        {
            "conftest.py": 'pytest_plugins = ["actors.testing.plugin"]',
            "test_it.py": ASSERTING,
        },
    )
    # No error beside the failures: the fixture was found.
    assert "2 failed, 4 passed in" in run.stdout, run.stdout + run.stderr
    assert "AssertionError: the wrong message came" in run.stdout
