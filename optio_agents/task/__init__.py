"""Agents as optio tasks.

    factory.py       create_agent_task: what a task definition is made from
    run.py           one run of such a task, from its host's connection to its cleanup
    agent.py         the agent's process on an optio-host host, with its descendants
    environment.py   which of the worker's variables the agent gets
    output.py        the end of what the agent printed
    claim.py         which run may use a task directory
    cancellation.py  waits that end when optio requests the end
    outage.py        database operations that outlast an outage
    work.py          what happens to a run's workdir: saved, forgotten, or left to be resurrected
    saved.py         a saved workdir as a blob
    orphans.py       agents whose worker was killed
    lease.py         one worker for each database and prefix
    conversing.py    a conversation with an agent that has a codec, its checklist, its waiting messages
    web_widget.py    that conversation in the dashboard
    waiting_messages.py  those messages as a blob
    deliverables.py  deliverables as blobs, and the one that is the result
    process_log.py   the lines that a run leaves in the log of its process

Everything here is asyncio code, as optio-core and optio-host are; the session within runs on Trio.

Names are imported on first use: a worker that finds its prefix taken must not pay for what a session needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optio_agents.lazy_imports import install_lazy_imports

if TYPE_CHECKING or not install_lazy_imports():
    from optio_agents.task.agent import AgentExited as AgentExited, AgentProcess as AgentProcess
    from optio_agents.task.claim import DirectoryInUse as DirectoryInUse
    from optio_agents.task.factory import create_agent_task as create_agent_task
    from optio_agents.task.lease import LeaseHeld as LeaseHeld, worker_lease as worker_lease
    from optio_agents.task.orphans import end_orphans as end_orphans
    from optio_agents.task.run import AgentRun as AgentRun, Conversing as Conversing
