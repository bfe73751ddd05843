"""The checked settings of `run --agent`: which agent, its prompt, the rules for its permissions."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from optio_agents.cli.exit_codes import UsageError

if TYPE_CHECKING:
    from optio_agents.cli.run.permission_rules import PermissionRules
    from optio_agents.conversation import Agent

PROMPT_LIMIT = 4 * 1024 * 1024
"""Bytes of a prompt from a file or from stdin."""

ShowOfAgent: TypeAlias = Literal["text", "tools", "nothing"]


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """A coding agent to talk to, instead of a COMMAND."""

    agent: Agent
    prompt: str
    """The user's own words."""
    rules: PermissionRules
    show: ShowOfAgent = "text"
    prompt_from_stdin: bool = False
    web: bool = False
    """Serve the page of the conversation."""


def read_prompt(words: list[str], file: Path | None) -> str:
    """The prompt: the words of the command line, or a file; `-` is stdin.

    Raises:
        UsageError: there is none, there are two, or it cannot be read.
    """
    if words and file is not None:
        raise UsageError("give the prompt as an argument or with --prompt-file, not both")
    if file is None:
        if not words:
            raise UsageError(
                'say what to do: optio-agents run --agent NAME "the task", or --prompt-file FILE'
            )
        if words != ["-"]:
            return " ".join(words)
        file = Path("-")
    try:
        with open(0, "rb", closefd=False) if str(file) == "-" else file.open("rb") as source:
            data = source.read(PROMPT_LIMIT + 1)
    except OSError as error:
        raise UsageError(f"cannot read the prompt from {file}: {error.strerror}") from None
    if len(data) > PROMPT_LIMIT:
        raise UsageError(f"the prompt in {file} is larger than {PROMPT_LIMIT // 1024**2} MiB")
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(f"the prompt in {file} is not UTF-8") from None
    if not text:
        raise UsageError("the prompt is empty")
    return text


def make_agent(name: str, command: str | None, resume: str | None) -> Agent:
    """The agent `name`, as `open_conversation` needs it.

    Raises:
        UsageError: `command` is not a command line.
    """
    from optio_agents.conversation import AGENTS

    recipe: Callable[..., Agent] = AGENTS[name]
    options = {"resume": resume} if resume else {}
    if command is None:
        return recipe(**options)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--agent-command cannot be split into words: {error}") from None
    if not words:
        raise UsageError("--agent-command is empty")
    return recipe(words, **options)


def read_rules(allow: list[str], once: list[str], deny: list[str]) -> PermissionRules:
    """The rules of the command line.

    Raises:
        UsageError: one of them is invalid.
    """
    from optio_agents.cli.run.permission_rules import PermissionRule, PermissionRules

    try:
        parsed = [[PermissionRule.parse(text) for text in each] for each in (allow, once, deny)]
    except ValueError as error:
        raise UsageError(str(error)) from None
    return PermissionRules(*parsed)


def is_interactive(prompt_from_stdin: bool) -> bool:
    """Whether a user can be asked: input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not prompt_from_stdin
