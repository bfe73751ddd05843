"""`create_agent_task`: a plain command becomes an optio task."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optio_core.models import TaskInstance
from optio_host.host import LocalHost
from optio_host.paths import task_dir
from optio_host.types import SSHConfig

from optio_agents.hosts.ssh.remote_host import TrustedRemoteHost, trusted_settings
from optio_agents.hosts.ssh.settings import HostKeyPolicy
from optio_agents.protocol.protocol import Protocol
from optio_agents.protocol.session import (
    BodyCallback,
    CallerMessageCallback,
    DeliverableCallback,
    DeliverableFileCallback,
    HookCallback,
)
from optio_agents.session.options import SessionOptions
from optio_agents.task.run import TASK_OPTIONS, AgentRun, Conversing

CONSUMER = "optio-agents"
"""The directory segment under which optio-host keeps our tasks' directories."""


def create_agent_task(
    process_id: str,
    name: str,
    *,
    command: str | Sequence[str],
    ssh: SSHConfig | None = None,
    known_hosts: str | os.PathLike[str] | None = None,
    accept_new_host_key: bool = False,
    taskdir: str | None = None,
    environment: Mapping[str, str] | None = None,
    prepare: BodyCallback | None = None,
    before_execute: HookCallback | None = None,
    on_deliverable: DeliverableCallback | None = None,
    on_deliverable_file: DeliverableFileCallback | None = None,
    on_caller_message: CallerMessageCallback | None = None,
    after_execute: HookCallback | None = None,
    protocol: Protocol | None = None,
    conversation: Conversing | None = None,
    options: SessionOptions = TASK_OPTIONS,
    supports_resume: bool = True,
    keep_taskdir: bool = False,
    **fields: Any,
) -> TaskInstance:
    """Make a task that runs `command` as an agent under the log protocol.

    The command's working directory is the task's workdir; it writes `./optio.log`, delivers from
    `./deliverables/` and reads messages, one a line, on its standard input. It is ended, with all that it
    started, when the session is over.

    Args:
        process_id: optio's id of the process; letters, digits, `.`, `_` and `-`.
        name: what users see.
        command: a shell command line, or the words of a command.
        ssh: the machine on which it runs; `None` is the worker's own. ~/.ssh/config and ssh-agent are honoured.
        known_hosts: the file against which that machine's key is checked, by default ~/.ssh/known_hosts.
        accept_new_host_key: add the key of a machine that no such file names; a changed key is always refused.
        taskdir: the task's directory there, by default what optio-host gives `optio-agents`.
        environment: variables that are added for the command.
        prepare: as in `run_log_protocol_session`; on a resume the workdir is filled already.
        before_execute: as there.
        on_deliverable: as there. Without either callback every deliverable is stored as a blob of the process,
            named `deliverables/<path>`.
        on_deliverable_file: as there.
        on_caller_message: as there.
        after_execute: as there; the agent has ended by then.
        protocol: as there.
        conversation: opens a conversation over the agent's streams, for agents that speak a language of their own.
        options: the session's limits. Deadlines should fit into optio's grace for cancelled tasks.
        supports_resume: the workdir of a run that does not reach DONE is kept as a blob; a resumed run finds it
            again, and the agent is told `System: you have been resumed`.
        keep_taskdir: leave the task's directory on the host at the end.
        fields: further fields of `TaskInstance` (`description`, `params`, `metadata`, `schedule`, ...).

    Returns:
        The task, to be returned from the worker's `get_task_definitions`.
    """
    directory = taskdir or task_dir(ssh=ssh, process_id=process_id, consumer_name=CONSUMER)

    host_keys = HostKeyPolicy(None if known_hosts is None else Path(known_hosts), accept_new_host_key)

    def make_host() -> LocalHost | TrustedRemoteHost:
        return (
            LocalHost(directory)
            if ssh is None
            else TrustedRemoteHost(trusted_settings(ssh, host_keys), directory)
        )

    run = AgentRun(
        command=command if isinstance(command, str) else shlex.join(command),
        make_host=make_host,
        prepare=prepare,
        before_execute=before_execute,
        on_deliverable=on_deliverable,
        on_deliverable_file=on_deliverable_file,
        on_caller_message=on_caller_message,
        after_execute=after_execute,
        protocol=protocol,
        conversation=conversation,
        environment=dict(environment or {}),
        supports_resume=supports_resume,
        keep_taskdir=keep_taskdir,
        options=options,
    )
    return TaskInstance(
        execute=run.execute, process_id=process_id, name=name, supports_resume=supports_resume, **fields
    )
