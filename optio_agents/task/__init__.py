"""Agents as optio tasks.

    factory.py       create_agent_task: what a task definition is made from
    run.py           one run of such a task, from its host's connection to its cleanup
    agent.py         the agent's process on an optio-host host, with its descendants
    environment.py   which of the worker's variables the agent gets
    output.py        the end of what the agent printed
    claim.py         which run may use a task directory
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
"""

from optio_agents.task.agent import AgentExited, AgentProcess
from optio_agents.task.claim import DirectoryInUse
from optio_agents.task.factory import create_agent_task
from optio_agents.task.lease import LeaseHeld, worker_lease
from optio_agents.task.orphans import end_orphans
from optio_agents.task.run import AgentRun, Conversing

__all__ = [
    "AgentExited",
    "AgentProcess",
    "AgentRun",
    "Conversing",
    "DirectoryInUse",
    "LeaseHeld",
    "create_agent_task",
    "end_orphans",
    "worker_lease",
]
