"""One run of a task with a real agent process, without a database."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from optio_agents.protocol.protocol import get_protocol
from optio_agents.session.events import SessionEvent
from optio_agents.session.options import SessionOptions
from optio_agents.task import create_agent_task
from optio_agents.task.agent import AgentExited
from tests.support.task_ctx import TaskCtx

SAY = 'say() { printf "%s\\n" "$*" >> optio.log; }\n'
HANG = 60.0


def run(ctx: TaskCtx, taskdir: Path, script: str, **options: Any) -> None:
    """Run a task to its end. Its work is not saved: that needs a database."""

    async def program() -> None:
        task = create_agent_task(
            "task", "Task", command=SAY + script, taskdir=str(taskdir), supports_resume=False, **options
        )
        async with asyncio.timeout(HANG):
            await task.execute(ctx)

    asyncio.run(program())


def test_what_is_asked_of_people_and_what_is_delivered_leaves_a_line_in_the_log(tmp_path: Path) -> None:
    ctx = TaskCtx()
    run(
        ctx,
        tmp_path / "task",
        """
        say "STATUS: 40% half way"; say "ATTENTION: look at chapter 3"; say "BROWSER: http://127.0.0.1/x"
        say 'CLIENT_MESSAGE: chart {"points": [1, 2]}'
        printf report > deliverables/report.md; say DELIVERABLE: deliverables/report.md; read -r reply; say DONE
        sleep 60
        """,
        protocol=get_protocol(browser="redirect", client_messages=True),
    )
    asked = [
        ("attention", "look at chapter 3"),
        ("browser", "http://127.0.0.1/x"),
        ("chart", {"points": [1, 2]}),
    ]
    assert sorted(ctx.calls) == asked
    for line in (
        "Attention: look at chapter 3",
        "Browser: http://127.0.0.1/x",
        'Client message chart: {"points": [1, 2]}',
        "Delivered report.md: 6 bytes, sha256 845e91831319e89c",
    ):
        assert line in ctx.said
    assert ctx.blobs["deliverables/report.md"] == b"report"


def test_the_callers_observer_still_sees_everything(tmp_path: Path) -> None:
    seen: list[SessionEvent] = []
    run(TaskCtx(), tmp_path / "task", "say DONE; sleep 60", options=SessionOptions(on_event=seen.append))
    assert type(seen[-1]).__name__ == "Ended"


def test_a_child_that_holds_the_output_does_not_outlive_the_agents_exit(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(AgentExited, match="exit status 3: its last words"):
        run(TaskCtx(), tmp_path / "task", "sleep 1000 & echo its last words; exit 3")
    assert time.monotonic() - began < HANG


def test_an_agent_that_never_reads_its_input_is_done_all_the_same(tmp_path: Path) -> None:
    taken: list[str] = []

    async def take(hook_context: Any, file: Any) -> str:
        taken.append(file.path)
        return "please " + "look " * 8000

    script = """
        for i in 1 2 3 4 5 6; do echo $i > deliverables/d$i; say DELIVERABLE: deliverables/d$i; done
        say DONE; sleep 1000
    """
    run(TaskCtx(), tmp_path / "task", script, on_deliverable_file=take)
    assert len(taken) == 6


def test_the_workers_secrets_are_not_the_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MONGO_URL": "mongodb://u:s3cret@db/x",
        "OTHER_API_KEY": "sk-worker",
        "EDITOR": "vi",
    }.items():
        monkeypatch.setenv(name, value)

    def seen(**options: Any) -> str:
        target = tmp_path / "seen"
        script = f"env > {target}; say DONE; sleep 60"
        run(TaskCtx(), tmp_path / "task", script, **options)
        return target.read_text()

    by_default = seen(env={"GIVEN": "yes"})
    assert "s3cret" not in by_default
    assert "sk-worker" not in by_default
    assert "EDITOR=vi" in by_default
    assert "GIVEN=yes" in by_default
    only_named = seen(inherit_env=["OTHER_*"])
    assert "OTHER_API_KEY=sk-worker" in only_named
    assert "EDITOR" not in only_named
    assert "s3cret" in seen(inherit_env=True)


def test_the_output_of_a_failed_run_is_stored_bounded(tmp_path: Path) -> None:
    ctx = TaskCtx()
    with pytest.raises(AgentExited):
        run(
            ctx,
            tmp_path / "task",
            "head -c 100000 /dev/zero | tr '\\0' x; echo end; exit 1",
            output_bytes=1000,
        )
    assert len(ctx.blobs["agent-output"]) == 1000
    assert ctx.blobs["agent-output"].endswith(b"end\n")


def test_the_output_of_a_good_run_is_stored_on_request_only(tmp_path: Path) -> None:
    for keep in (False, True):
        ctx = TaskCtx()
        run(
            ctx,
            tmp_path / "task",
            "echo hello; echo x > deliverables/x; say DELIVERABLE: deliverables/x; read -r reply; say DONE",
            keep_output=keep,
        )
        assert (ctx.blobs.get("agent-output") == b"hello\n") is keep


def test_a_task_directory_is_removed_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    for keep in (False, True):
        run(TaskCtx(), tmp_path / "task", "say DONE; sleep 60", keep_taskdir=keep)
        assert (tmp_path / "task" / "workdir").exists() is keep
