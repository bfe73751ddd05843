"""What a killed worker's run has left running on this machine is ended when its task is defined again."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from optio_host.host import LocalHost

from optio_agents.hosts.processes.process_tree import MARKER_VARIABLE
from optio_agents.task import create_agent_task
from optio_agents.task.agent import mark_of
from optio_agents.task.claim import RECORD, RunRecord, claimed
from optio_agents.task.orphans import end_local_orphans_under
from tests.support.task_ctx import TaskCtx


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the mark of the directory `task` that does not heed TERM."""
    environment = {**os.environ, MARKER_VARIABLE: mark_of(str(tmp_path / "task"))}
    script = "trap '' TERM; echo ready; read -r never < fifo"
    with subprocess.Popen(
        ["sh", "-c", f"mkfifo fifo; {script}"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def define(taskdir: Path) -> None:
    create_agent_task("task", "Task", command="true", taskdir=str(taskdir))


def test_it_is_ended_even_if_it_does_not_heed_term(tmp_path: Path, orphan: subprocess.Popen[bytes]) -> None:
    taskdir = tmp_path / "task"
    (taskdir / "workdir").mkdir(parents=True)
    (taskdir / "workdir" / "notes").write_text("mine")
    (taskdir / RECORD).write_text(RunRecord("task", "db/p/1", "here", "now").to_json())
    define(taskdir)
    assert orphan.wait(10) == -9
    assert (taskdir / "workdir" / "notes").read_text() == "mine"


def test_it_is_found_beneath_the_task_root_when_its_task_is_not_defined(
    tmp_path: Path, orphan: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "another").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / RECORD).write_text(RunRecord("task", "db/p/1", "here", "now").to_json())
    end_local_orphans_under(str(tmp_path / "nothing"))
    assert orphan.poll() is None
    end_local_orphans_under(str(tmp_path))
    assert orphan.wait(10) == -9


@pytest.mark.parametrize("recorded", [False, True])
def test_a_directory_without_an_interrupted_run_is_left_alone(
    tmp_path: Path, orphan: subprocess.Popen[bytes], recorded: bool
) -> None:
    taskdir = tmp_path / "task"
    taskdir.mkdir()
    if recorded:
        (taskdir / RECORD).touch()
    define(taskdir)
    assert orphan.poll() is None


def test_a_run_that_has_the_directory_keeps_its_agent(
    tmp_path: Path, orphan: subprocess.Popen[bytes]
) -> None:
    async def program() -> None:
        async with claimed(LocalHost(str(tmp_path / "task")), TaskCtx()):
            define(tmp_path / "task")
            assert orphan.poll() is None

    asyncio.run(program())
