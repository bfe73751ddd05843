"""Agents as optio tasks.

    factory.py   create_agent_task: what a task definition is made from
    run.py       one run of such a task, from its host's connection to its cleanup
    agent.py     the agent's process on an optio-host host, with all that it starts
    saved.py     the workdir of an interrupted run, kept as a blob until it is resumed

Everything here is asyncio code, as optio-core and optio-host are; the session within runs on Trio.
"""

from optio_agents.task.agent import AgentExited, AgentProcess
from optio_agents.task.factory import create_agent_task
from optio_agents.task.run import AgentRun, Conversing

__all__ = ["AgentExited", "AgentProcess", "AgentRun", "Conversing", "create_agent_task"]
