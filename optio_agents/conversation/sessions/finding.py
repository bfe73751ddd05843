"""Which sessions an agent has kept in a workdir, and what was said in one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import trio

from optio_agents.bridge.forked import session_of_trio
from optio_agents.conversation.agents import Agent
from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.opening import open_conversation_over
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.process import start_process
from optio_agents.conversation.sessions import claude_files
from optio_agents.conversation.sessions.queries import AcpHistory, AcpSessions, CodexHistory, CodexSessions
from optio_agents.conversation.sessions.values import KeptSession, PastTurn, newest_first
from optio_agents.conversation.values import Unsupported

StrPath = str | os.PathLike[str]


async def list_sessions(
    agent: Agent,
    *,
    workdir: StrPath,
    home: StrPath | None = None,
    environment: Mapping[str, str] | None = None,
    options: ConversationOptions = DEFAULT_OPTIONS,
    limit: int = 50,
) -> tuple[KeptSession, ...]:
    """The sessions that `agent` has kept in `workdir`, the one that was used last first.

    claude's are read from its files. codex and ACP agents are started, asked and closed.

    Args:
        agent, workdir, home, environment, options: As for `open_conversation`.
        limit: How many at most.

    Raises:
        AgentNotStarted: it cannot be started, or cannot list its sessions.
        Unsupported: it is an agent whose sessions we do not know how to list.
    """
    cwd = _absolute(workdir)
    surroundings = _surroundings(environment, home)
    codec = agent.codec(cwd)
    if isinstance(codec, ClaudeCodec):
        directory = _claude_directory(surroundings, cwd)
        return await trio.to_thread.run_sync(claude_files.kept_sessions, directory, limit)
    if isinstance(codec, CodexCodec):
        codex = CodexSessions(cwd=cwd, limit=limit)
        await _asked(agent, codex, cwd, surroundings, options)
        return newest_first(codex.sessions, limit)
    if isinstance(codec, AcpCodec):
        acp = AcpSessions(cwd=cwd)
        await _asked(agent, acp, cwd, surroundings, options)
        return newest_first(acp.sessions, limit)
    raise Unsupported(f"{agent.name}: there is no way to list its sessions")


async def last_session(
    agent: Agent,
    *,
    workdir: StrPath,
    home: StrPath | None = None,
    environment: Mapping[str, str] | None = None,
    options: ConversationOptions = DEFAULT_OPTIONS,
) -> KeptSession | None:
    """The session that was used last, as `list_sessions`; `None` if there is none."""
    sessions = await list_sessions(
        agent, workdir=workdir, home=home, environment=environment, options=options, limit=1
    )
    return sessions[0] if sessions else None


async def session_history(
    agent: Agent,
    session: str,
    *,
    workdir: StrPath,
    home: StrPath | None = None,
    environment: Mapping[str, str] | None = None,
    options: ConversationOptions = DEFAULT_OPTIONS,
) -> tuple[PastTurn, ...]:
    """The turns of a session, the first one first. No message is sent, and no model is called.

    Args:
        agent, workdir, home, environment, options: As for `open_conversation`.
        session: Its id.

    Raises:
        FileNotFoundError, ValueError: claude has no such session, or its file is too large.
        AgentNotStarted: it cannot be started, or has no such session.
        Unsupported: it is an agent whose sessions we do not know how to read.
    """
    cwd = _absolute(workdir)
    surroundings = _surroundings(environment, home)
    codec = agent.codec(cwd)
    if isinstance(codec, ClaudeCodec):
        directory = _claude_directory(surroundings, cwd)
        return await trio.to_thread.run_sync(claude_files.history, directory, session)
    if isinstance(codec, CodexCodec):
        codex = CodexHistory(cwd=cwd, session=session)
        await _asked(agent, codex, cwd, surroundings, options)
        return tuple(codex.turns)
    if isinstance(codec, AcpCodec):
        acp = AcpHistory(cwd=cwd, session=session, replays_late=codec.replays_late)
        await _asked(agent, acp, cwd, surroundings, options)
        return tuple(acp.turns)
    raise Unsupported(f"{agent.name}: there is no way to read its sessions")


def _absolute(path: StrPath) -> str:
    return os.path.abspath(path)


def _surroundings(environment: Mapping[str, str] | None, home: StrPath | None) -> dict[str, str]:
    surroundings = dict(os.environ if environment is None else environment)
    return surroundings if home is None else {**surroundings, "HOME": os.path.abspath(home)}


def _claude_directory(surroundings: Mapping[str, str], cwd: str) -> Path:
    config = surroundings.get("CLAUDE_CONFIG_DIR") or os.path.join(surroundings.get("HOME", ""), ".claude")
    return claude_files.project_directory(Path(config), cwd)


async def _asked(
    agent: Agent,
    codec: Codec,
    cwd: str,
    surroundings: Mapping[str, str],
    options: ConversationOptions,
) -> None:
    """Start the agent, wait until the codec has its answer, and end the agent."""
    connect = partial(
        start_process,
        name=agent.name,
        command=agent.command,
        cwd=cwd,
        environment={**surroundings, **agent.environment},
        home=None,
        options=options,
    )
    with session_of_trio():
        async with open_conversation_over(connect, codec, name=agent.name, options=options):
            pass
