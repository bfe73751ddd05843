"""Agents whose worker was killed: ended when the next worker starts, their work kept for a resume.

A killed worker leaves its agents running. No process reads their output any more, so they are ended. Their work stays
where it is, and optio offers to resurrect it. All their processes carry a mark by which they are found
(`agent.mark_of`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from optio_core.models import TaskInstance
from optio_core.store import append_log

from optio_agents.hosts.processes.process_tree import MARKER_VARIABLE
from optio_agents.hosts.processes.snapshot import ProcessEntry, read_marked, read_snapshot
from optio_agents.protocol.display import display_text
from optio_agents.task.agent import ENDING, mark_of
from optio_agents.task.claim import is_claimed
from optio_agents.task.run import AgentRun

HOST_SECONDS = 30.0
"""How long one host may take at the start of a worker, which waits for all of them at once."""

_logger = logging.getLogger("optio_agents.task")


@dataclass(frozen=True, slots=True)
class _Interrupted:
    """The part of a context that the claim on an interrupted process's directory needs."""

    process_id: str
    _process_oid: Any
    _db: Any
    _prefix: str

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        """Do nothing: no run is active."""

    async def log(self, message: str) -> None:
        """Append a line to the process's log."""
        await append_log(self._db, self._prefix, self._process_oid, "event", message)


async def end_orphans(database: Any, prefix: str, tasks: dict[str, TaskInstance]) -> None:
    """End the agents that killed workers have left running, here and on remote hosts, and note that in their processes.

    Call it after `Optio.init` (which marks their processes as failed) and before `Optio.run`, under the worker's lease.
    A host that cannot be reached is reported; the next run of its task ends what is there.

    Args:
        database: motor's.
        prefix: of the worker.
        tasks: the worker's definitions, by process id. Only tasks made by `create_agent_task` are handled.
    """
    rows = database[f"{prefix}_processes"].find({"hasUnsavedWork": True}, {"processId": 1})
    async with asyncio.TaskGroup() as group:
        async for row in rows:
            run = _run_of(tasks.get(row["processId"]))
            if run is not None:
                interrupted = _Interrupted(row["processId"], row["_id"], database, prefix)
                group.create_task(_end_orphans_of(run, interrupted))


async def _end_orphans_of(run: AgentRun, interrupted: _Interrupted) -> None:
    try:
        async with asyncio.timeout(HOST_SECONDS):
            has_work = await run.end_orphans(interrupted)
    except Exception as error:  # noqa: BLE001 - one unreachable host must not keep a worker from starting
        reason = f"no answer in {HOST_SECONDS:g} s" if isinstance(error, TimeoutError) else repr(error)
        _logger.warning("cannot look after the interrupted run of %s: %s", interrupted.process_id, reason)
        await interrupted.log(
            f"The interrupted run's agent could not be ended ({display_text(reason, 300)}) and may still run. "
            "Its work is kept: resurrect it to end the agent and to continue from there"
        )
        return
    if has_work:
        await interrupted.log(
            "The interrupted run's agent was ended; its work is kept: resurrect it to continue from there"
        )


def end_local_orphans_under(task_root: str) -> None:
    """End what killed workers' runs have left running in the directories of a task root of this machine.

    This finds also those whose task is not defined any more, as an ephemeral launch of a `TaskFactory`. Call it in a
    thread: it waits at most two seconds for each directory with orphans.
    """
    with suppress(FileNotFoundError), os.scandir(task_root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                end_local_orphans(entry.path)


def end_local_orphans(taskdir: str) -> None:
    """End what a killed worker's run has left running in a directory of this machine.

    Called when a task is defined, which every worker does when it starts. Does nothing while a run holds the directory.
    Waits at most two seconds for the end of the processes. Almost all of them end at once.
    """
    if is_claimed(taskdir) is not False:
        return
    for number, seconds in ((signal.SIGTERM, ENDING.term), (signal.SIGKILL, ENDING.kill)):
        orphans = _marked(taskdir)
        if not orphans:
            return
        _logger.warning("ending %d processes that an interrupted run has left in %s", len(orphans), taskdir)
        _end(orphans, number, seconds)


def _marked(taskdir: str) -> list[ProcessEntry]:
    snapshot = read_snapshot()
    marked = read_marked(snapshot, {MARKER_VARIABLE: mark_of(taskdir)})
    return [snapshot[pid] for pid in marked if not snapshot[pid].dead]


def _end(orphans: list[ProcessEntry], number: int, seconds: float) -> None:
    with ExitStack() as stack:
        waiting = select.poll()
        left = 0
        for orphan in orphans:
            with suppress(ProcessLookupError, PermissionError):
                descriptor = os.pidfd_open(orphan.pid)
                stack.callback(os.close, descriptor)
                signal.pidfd_send_signal(descriptor, number)
                signal.pidfd_send_signal(descriptor, signal.SIGCONT)
                waiting.register(descriptor, select.POLLIN)
                left += 1
        deadline = time.monotonic() + seconds
        while left and (patience := deadline - time.monotonic()) > 0:
            for descriptor, _ in waiting.poll(patience * 1000):
                waiting.unregister(descriptor)
                left -= 1


def _run_of(task: TaskInstance | None) -> AgentRun | None:
    run = getattr(getattr(task, "resurrect", None), "__self__", None)
    return run if isinstance(run, AgentRun) else None
