"""Agents on another machine (an sshd of the test's own), as optio tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from optio_agents.task import create_agent_task
from tests.optio.test_task import SAY, is_running
from tests.support.servers import Ssh
from tests.support.ssh_host import ssh_config
from tests.support.worker import Worker, in_worker

pytestmark = pytest.mark.servers


def test_done_with_deliverables(database: str, ssh: Ssh, tmp_path: Path) -> None:
    script = """
        say "STATUS: 50% half"; printf remote > deliverables/a; say DELIVERABLE: deliverables/a
        read -r reply; say "STATUS: told: $reply"; say DONE
    """
    agent = create_agent_task(
        "agent",
        "Agent",
        command=SAY + script,
        ssh=ssh_config(ssh),
        known_hosts=ssh.known_hosts,
        taskdir=str(tmp_path / "remote task"),
    )

    async def scenario(worker: Worker) -> None:
        row = await worker.run("agent")
        assert row["status"]["state"] == "done", row
        assert (await worker.blobs("agent"))["deliverables/a"] == b"remote"
        assert any(
            line.startswith("told: System: deliverable a: accepted") for line in await worker.log("agent")
        )
        assert not (tmp_path / "remote task").exists()

    in_worker(database, [agent], scenario)


def test_cancelled_with_all_its_processes_and_resumed(database: str, ssh: Ssh, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = """
        if [ -e notes ]; then read -r told; say "STATUS: told: $told"; say DONE; exit; fi
        echo mine > notes
        (setsid sh -c 'trap "" TERM; echo $$ >> "$PIDS"; while :; do sleep 1000; done' </dev/null >/dev/null 2>&1 &)
        echo $$ >> "$PIDS"
        while [ $(wc -l < "$PIDS") -lt 2 ]; do sleep 0.1; done
        say STATUS: at work; while :; do sleep 1000; done
    """
    agent = create_agent_task(
        "agent",
        "Agent",
        command=SAY + script,
        ssh=ssh_config(ssh),
        known_hosts=ssh.known_hosts,
        taskdir=str(tmp_path / "remote"),
        environment={"PIDS": str(pids)},
    )

    async def scenario(worker: Worker) -> None:
        await worker.launch("agent")
        await worker.until_logged("agent", "at work")
        assert (await worker.optio.cancel("agent")).ok
        row = await worker.until_state("agent", "cancelled", "failed", "done")
        assert row["status"]["state"] == "cancelled"
        assert [pid for pid in pids.read_text().split() if is_running(pid)] == []
        row = await worker.run("agent", resume=True)
        assert row["status"]["state"] == "done", row
        assert "told: System: you have been resumed" in await worker.log("agent")

    # An SSH connection, an archive and the end of a stubborn process take their time on a busy machine.
    in_worker(database, [agent], scenario, cancel_grace_seconds=30.0)


def test_the_agents_failure_has_its_reason(database: str, ssh: Ssh, tmp_path: Path) -> None:
    agent = create_agent_task(
        "agent",
        "Agent",
        command="echo what went wrong >&2; exit 3",
        ssh=ssh_config(ssh),
        known_hosts=ssh.known_hosts,
        taskdir=str(tmp_path / "remote"),
    )

    async def scenario(worker: Worker) -> None:
        row = await worker.run("agent")
        assert row["status"]["state"] == "failed"
        assert "ended with exit status 3: what went wrong" in row["status"]["error"]

    in_worker(database, [agent], scenario)
