"""How to start each agent: its command line, its environment, its codec.

A backend with a known protocol needs one function here. A backend with another protocol also needs a codec
(`docs/conversation.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from optio_agents.conversation.codecs.acp import AcpCodec
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.codecs.claude import ClaudeCodec
from optio_agents.conversation.codecs.codex import CodexCodec


@dataclass(frozen=True)
class Agent:
    """What to run for a conversation, and the codec to talk to it.

    `codec` is called with the working directory. `environment` is added to the environment of the process.
    """

    name: str
    command: tuple[str, ...]
    codec: Callable[[str], Codec]
    environment: Mapping[str, str] = field(default_factory=dict)
    resumed: Callable[[str], Agent] | None = field(default=None, compare=False)
    """The recipe that takes up a session by its name. Its command begins with this one's."""
    forked: Callable[[str], Agent] | None = field(default=None, compare=False)
    """The recipe that begins a new session with all that was said in one. The old one stays as it is."""


REPLAY_FLAG: Final = "--replay-user-messages"
"""Claude Code's."""


def claude(
    command: Sequence[str] = ("claude",),
    *,
    resume: str | None = None,
    model: str | None = None,
    partial: bool = True,
    arguments: Sequence[str] = (),
) -> Agent:
    """Claude Code. `resume` is the `session` of an earlier conversation in the same directory and HOME.

    `partial`: text arrives while it is written (many small events), not block by block.
    """
    options = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    options += ["--permission-prompt-tool", "stdio"]
    options += ["--include-partial-messages"] if partial else []
    options += ["--resume", resume] if resume else []
    options += ["--model", model] if model else []
    # Its updater would replace the binary under a running conversation.
    environment = {"DISABLE_AUTOUPDATER": "1"}
    agent = Agent("claude", (*command, *options, *arguments), lambda cwd: ClaudeCodec(), environment)

    def resumed(session: str) -> Agent:
        return replace(agent, command=(*agent.command, "--resume", session))

    def forked(session: str) -> Agent:
        return replace(agent, command=(*agent.command, "--resume", session, "--fork-session"))

    return replace(agent, resumed=resumed, forked=forked)


def replaying(agent: Agent) -> Agent:
    """The same agent. With Claude Code, each message that it begins to handle becomes an event, too.

    Such an event has the type `user` and `isReplay`. A viewer needs them if several clients write to the conversation.
    """
    if agent.name != "claude" or REPLAY_FLAG in agent.command:
        return agent
    command = (*agent.command, REPLAY_FLAG)

    def also(recipe: Callable[[str], Agent] | None) -> Callable[[str], Agent] | None:
        if recipe is None:
            return None

        def later(session: str) -> Agent:
            plain = recipe(session)
            return replace(plain, command=(*command, *plain.command[len(agent.command) :]))

        return later

    return replace(agent, command=command, resumed=also(agent.resumed), forked=also(agent.forked))


def codex(
    command: Sequence[str] = ("codex",),
    *,
    resume: str | None = None,
    approval_policy: str = "untrusted",
    sandbox: str = "workspace-write",
    arguments: Sequence[str] = (),
) -> Agent:
    """Codex. `resume` is the `session` (its thread) of an earlier conversation with the same CODEX_HOME."""

    def recipe(thread: str | None, *, fork: bool = False) -> Agent:
        def codec(cwd: str) -> Codec:
            policy = {"approval_policy": approval_policy, "sandbox": sandbox}
            return CodexCodec(cwd=cwd, thread=thread, fork=fork, **policy)

        program = (*command, "app-server", *arguments)
        return Agent("codex", program, codec, resumed=recipe, forked=partial(recipe, fork=True))

    return recipe(resume)


def acp(
    name: str,
    command: Sequence[str],
    *,
    resume: str | None = None,
    environment: Mapping[str, str] | None = None,
    replays_late: bool = False,
) -> Agent:
    """Any agent that speaks the Agent Client Protocol over its stdio.

    `replays_late`: when it resumes a session, it replays the messages after the response that it has loaded them (which
    the protocol forbids), and then lists its commands.
    """

    def recipe(session: str | None, *, fork: bool = False) -> Agent:
        def codec(cwd: str) -> Codec:
            return AcpCodec(cwd=cwd, session=session, fork=fork, replays_late=replays_late)

        return Agent(name, tuple(command), codec, dict(environment or {}), recipe, partial(recipe, fork=True))

    return recipe(resume)


def gemini(
    command: Sequence[str] = ("gemini",),
    *,
    resume: str | None = None,
    model: str | None = None,
    arguments: Sequence[str] = (),
) -> Agent:
    """Gemini CLI. `resume` works only in a later clock minute, because it names its chat files by the minute."""
    options = ["--acp", *(["-m", model] if model else []), *arguments]
    # Without it, the CLI runs as a child of a launcher that does not pass on signals.
    environment = {"GEMINI_CLI_NO_RELAUNCH": "true"}
    return acp("gemini", (*command, *options), resume=resume, environment=environment, replays_late=True)


def opencode(
    command: Sequence[str] = ("opencode",), *, resume: str | None = None, arguments: Sequence[str] = ()
) -> Agent:
    """OpenCode."""
    return acp("opencode", (*command, "acp", *arguments), resume=resume)


AGENTS: dict[str, Callable[..., Any]] = {
    "claude": claude,
    "codex": codex,
    "gemini": gemini,
    "opencode": opencode,
}
"""The agents that we know how to start, by name."""
