"""The tasks of the worker processes in these tests."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from optio_core.models import TaskInstance
from optio_host.types import SSHConfig

from optio_agents.task import create_agent_task

PHASES = ("preparing", "running", "delivering", "saving", "ending")
"""Tasks of these names stay in that phase of their first run, once they have said so (see `crashing`)."""

REMOTE = "OPTIO_AGENTS_TEST_REMOTE"
"""The variable with the machine of the task `remote`, as JSON: `SSHConfig`'s fields, `known_hosts` and `taskdir`."""

SAY = 'say() { printf "%s\\n" "$*" >> optio.log; }\n'


GOES_ON = """
    if [ -e notes ]; then read -r told; say "STATUS: found $(cat notes), told: $told"; say DONE; sleep 1000; fi
    echo mine > notes; say STATUS: working; while :; do sleep 1000; done
"""
"""An agent that works until it is ended, and is done once it finds its notes again."""


def get_tasks(services: Any, metadata_filter: Any) -> list[TaskInstance]:
    """One that ends, one that does not, and one for each phase in which a worker may be killed."""
    quick = "echo hello > deliverables/hello; echo DELIVERABLE: deliverables/hello >> optio.log"
    return [
        create_agent_task("quick", "Quick", command=f"{quick}; read -r reply; echo DONE >> optio.log"),
        create_agent_task(
            "slow",
            "Slow",
            command="echo $$ | tee notes > ../pid; echo STATUS: working >> optio.log; while :; do sleep 1000; done",
        ),
        create_agent_task("auto", "Auto", command=SAY + GOES_ON, auto_resume=True),
        *(crashing(phase) for phase in PHASES),
        *([remote(json.loads(os.environ[REMOTE]))] if REMOTE in os.environ else []),
    ]


def crashing(phase: str) -> TaskInstance:
    """A task whose first run stays in `phase`, and whose agent is done as soon as it finds its notes again."""
    is_first = not Path(os.environ["OPTIO_AGENTS_TASK_ROOT"], "crashed").exists()

    async def stay(hook_context: Any, *args: Any) -> None:
        if is_first:
            hook_context.report_progress(None, f"phase {phase}")
            await asyncio.sleep(1000)

    async def prepare(host: Any, hook_context: Any) -> None:
        await stay(hook_context)

    hooks: dict[str, Any] = {
        "preparing": {"prepare": prepare},
        "delivering": {"on_deliverable_file": stay},
        "ending": {"after_execute": stay},
    }
    acts = {
        "running": "say STATUS: phase running",
        "delivering": "echo x > deliverables/x; say DELIVERABLE: deliverables/x",
        "saving": "head -c 80000000 /dev/urandom > much; say ERROR: this far",
        "ending": "say DONE",
    }
    script = f"""
        if [ -e notes ]; then read -r told; say "STATUS: found $(cat notes), told: $told"; say DONE; sleep 1000; fi
        echo "notes of {phase}" > notes; (trap '' TERM; while :; do sleep 1000; done) & echo $$ $! > ../pids
        {acts.get(phase, ":")}; while :; do sleep 1000; done
    """
    return create_agent_task(phase, phase.title(), command=SAY + script, **hooks.get(phase, {}))


def remote(machine: dict[str, Any]) -> TaskInstance:
    """A task on another machine, whose agent leaves a process of its own."""
    known_hosts, taskdir = machine.pop("known_hosts"), machine.pop("taskdir")
    beside = """
        (setsid sh -c 'trap "" TERM; while :; do sleep 1000; done' </dev/null >/dev/null 2>&1 & echo $! >> ../pids)
        echo $$ >> ../pids
    """
    return create_agent_task(
        "remote",
        "Remote",
        command=SAY + beside + GOES_ON,
        ssh=SSHConfig(**machine),
        known_hosts=known_hosts,
        taskdir=taskdir,
    )
