"""`create_agent_task`: a plain command becomes an optio task."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optio_core.models import TaskInstance
from optio_host.host import LocalHost
from optio_host.paths import task_dir
from optio_host.types import SSHConfig

from optio_agents.hosts.ssh.guarded import OrphanPolicy
from optio_agents.hosts.ssh.remote_host import TrustedRemoteHost, trusted_settings
from optio_agents.hosts.ssh.settings import ORPHAN_GRACE, HostKeyPolicy
from optio_agents.protocol.protocol import Protocol
from optio_agents.session.callbacks import (
    BodyCallback,
    CallerMessageCallback,
    DeliverableCallback,
    DeliverableFileCallback,
    HookCallback,
)
from optio_agents.session.options import SessionOptions
from optio_agents.task.agent import OUTPUT_BYTES
from optio_agents.task.conversing import TaskConversation
from optio_agents.task.environment import InheritEnv, check_inherit
from optio_agents.task.memory import read_conversation
from optio_agents.task.orphans import end_local_orphans
from optio_agents.task.run import TASK_OPTIONS, AgentRun, Conversing
from optio_agents.task.web_widget import WIDGET
from optio_agents.uploads import UploadCallback

CONSUMER = "optio-agents"
"""The directory segment under which optio-host keeps our tasks' directories."""


def create_agent_task(
    process_id: str,
    name: str,
    *,
    command: str | Sequence[str] | None = None,
    ssh: SSHConfig | None = None,
    known_hosts: str | os.PathLike[str] | None = None,
    accept_new_host_key: bool = False,
    orphan_grace: float = ORPHAN_GRACE,
    taskdir: str | None = None,
    env: Mapping[str, str] | None = None,
    inherit_env: InheritEnv = None,
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
    result: str | None = None,
    uploads: bool = False,
    on_upload: UploadCallback | None = None,
    supports_resume: bool = True,
    auto_resume: bool = False,
    keep_taskdir: bool = False,
    keep_output: bool = False,
    output_bytes: int = OUTPUT_BYTES,
    **fields: Any,
) -> TaskInstance:
    """Make a task that runs `command` as an agent under the log protocol.

    The command's working directory is the task's workdir. It writes `./optio.log`, delivers from `./deliverables/` and
    reads messages from its standard input, one per line. When the session is over, the command and all processes that
    it started are ended.

    If a worker was killed during an earlier run of the task on this machine, the processes of that run are ended here.
    Its work is kept.

    Args:
        process_id: optio's id of the process; letters, digits, `.`, `_` and `-`.
        name: what users see.
        command: a shell command line, or the words of a command. By default that of the conversation's agent. For a
            resumed conversation, the arguments that resume the agent's session are appended.
        ssh: the machine on which it runs; `None` is the worker's own. ~/.ssh/config and ssh-agent are honoured.
        known_hosts: the file against which that machine's key is checked, by default ~/.ssh/known_hosts.
        accept_new_host_key: add the key of a machine that no such file names; a changed key is always refused.
        orphan_grace: seconds for which the agent on that machine is kept while no worker is connected to it; it is
            ended after that, and its directory kept.
        taskdir: the task's directory there, by default what optio-host gives `optio-agents`.
        env: variables for the command, in addition to those that it inherits.
        inherit_env: which variables of the worker it inherits. `None`: all that do not look like a secret, by name or
            by value (`MONGO_URL`, `*_API_KEY`, a URL with a password, ...). A list of names or shell patterns: those,
            and what every program needs (`PATH`, `HOME`, `LANG`, ...). `False`: only the latter. `True`: all. A
            remote command gets what its own machine gives to a login, never the worker's.
        environment: the former name of `env`.
        prepare: as in `run_log_protocol_session`; on a resume the workdir already has its content.
        before_execute: as there.
        on_deliverable: as there. Without either callback every deliverable is stored as a blob of the process,
            named `deliverables/<path>`, and one of them is the result of the process (see `result`).
        on_deliverable_file: as there.
        on_caller_message: as there.
        after_execute: as there; the agent has ended by then. After a cancellation the work is saved before it runs, and
            it gets the rest of optio's grace period.
        protocol: as there.
        conversation: opens a conversation over the agent's streams, for agents that have a codec: the result of
            `optio_agents.conversation.task_streams.conversing`, or a similar function.
        options: the session's limits. Deadlines should fit into optio's grace for cancelled tasks.
        result: a shell pattern for the path of the deliverable that is the result of the process, which the dashboard
            offers for download. By default the only one, if there is exactly one.
        uploads: users may upload files from the dashboard while the agent runs; they go to `uploads/` in the workdir.
        on_upload: called for each, with the path relative to the workdir. By default the agent gets a message.
        supports_resume: the workdir of a run that does not reach DONE is kept as a blob. A resumed run restores it,
            and the agent gets the message `System: you have been resumed`. Work that could not be saved (the worker was
            killed, the grace was too short) stays on its host, and optio's "resurrect" saves and resumes it.
        auto_resume: a run that the worker's shutdown has cancelled is resumed after the next start of a worker.
        keep_taskdir: leave the task's directory on the host at the end.
        keep_output: store the end of the agent's output as a blob (`agent-output`) after every run. That of a failed
            run is always stored.
        output_bytes: how much of it is kept.
        fields: further fields of `TaskInstance` (`description`, `params`, `metadata`, `schedule`, `ttl_seconds`,
            `cancellable`, `ui_widget`, ...; docs/tasks.md has them all).

    Returns:
        The task, to be returned from the worker's `get_task_definitions`.

    Raises:
        TypeError: `inherit_env` is a single string; a field that `TaskInstance` does not have.
        ValueError: `process_id` cannot name a directory; there is no command.
    """
    check_inherit(inherit_env)
    directory = taskdir or task_dir(ssh=ssh, process_id=process_id, consumer_name=CONSUMER)

    host_keys = HostKeyPolicy(None if known_hosts is None else Path(known_hosts), accept_new_host_key)

    def make_host() -> LocalHost | TrustedRemoteHost:
        if ssh is None:
            return LocalHost(directory)
        settings = trusted_settings(ssh, host_keys)
        return TrustedRemoteHost(settings, directory, orphan_policy=OrphanPolicy(orphan_grace))

    if ssh is None:
        end_local_orphans(directory)
    takes_uploads = uploads or on_upload is not None
    if isinstance(conversation, TaskConversation) and conversation.web is not None:
        conversation = replace(conversation, uploads=takes_uploads)
        fields.setdefault("ui_widget", WIDGET)
    run = AgentRun(
        command=_command_line(command, conversation),
        make_host=make_host,
        prepare=prepare,
        before_execute=before_execute,
        on_deliverable=on_deliverable,
        on_deliverable_file=on_deliverable_file,
        on_caller_message=on_caller_message,
        after_execute=after_execute,
        protocol=protocol,
        conversation=conversation,
        env={**(environment or {}), **(env or {})},
        inherit_env=inherit_env,
        result=result,
        uploads=takes_uploads,
        on_upload=on_upload,
        supports_resume=supports_resume,
        keep_taskdir=keep_taskdir,
        keep_output=keep_output,
        output_bytes=output_bytes,
        options=options,
    )
    return TaskInstance(
        execute=run.execute,
        process_id=process_id,
        name=name,
        supports_resume=supports_resume,
        auto_resume=auto_resume,
        resurrect=run.resurrect if supports_resume else None,
        **({"read_conversation": read_conversation} if isinstance(conversation, TaskConversation) else {}),
        **fields,
    )


def _command_line(command: str | Sequence[str] | None, conversation: Conversing | None) -> str:
    if command is None:
        if not isinstance(conversation, TaskConversation):
            raise ValueError("a task needs a command, or a conversation with an agent that has one")
        command = conversation.agent.command
    return command if isinstance(command, str) else shlex.join(command)
