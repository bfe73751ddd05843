"""The instructions file of an agent (`CLAUDE.md`, `AGENTS.md`): what a coding agent reads before it begins.

`compose_instructions_file` joins the documentation of the log protocol, the rules for resuming, what the sandbox
allows and the task itself. Each section is a function of its own here; the order is in one place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from optio_agents.protocol.features import BrowserMode, ProtocolFeatures
from optio_agents.protocol.prompt import RESUME_NOTICE, build_log_channel_prompt

DEFAULT_CONVERSATION_INSTRUCTIONS: Final = (
    "There is no task prepared for you: talk with the user, and help with what they ask for."
)
"""The instructions of a session that is a plain conversation."""

_FRAMING: Final = """\
The rest of this file is your task. A person watches this session and can answer: ask when something is unclear, and
talk with them about what you do.
"""

_TASK_MARK: Final = "So:"

BASE_PROMPT_POST: Final = f"{_FRAMING}\n{_TASK_MARK}\n"
"""What stands between the heading `## Task` and the instructions, when no note about a todo list is put in."""

_COORDINATION: Final = """\
# Coordination protocol with the host harness

The program that started you, the harness, follows what you do through a log file in your working directory.
"""

_SYSTEM_MESSAGES: Final = """\
(Messages prefixed with `System:` come from the harness, the program that started you, and not from the user. Do what
they say, and do not answer them.)
"""

_READ_ONLY: Final = frozenset({"ro", "rox"})


@dataclass(frozen=True)
class AgentPromptProfile:
    """What an agent package says about its agent.

    Attributes:
        instructions_file: the file's name, which the agent reads by itself.
        state_dir: the directory, relative to the workdir, in which the agent keeps its own state, if any.
        state_dir_contents: what it keeps there, as the end of a sentence.
        preamble: the beginning of the file.
        browser: what happens when the agent opens a browser, for the documentation of the protocol.
        delivery_section: how the agent delivers, for agents with a way of their own.
        todo_tool: the agent's tool for its todo list; a phrase with a comma in it is used as it is.
    """

    instructions_file: str = "AGENTS.md"
    state_dir: str | None = None
    state_dir_contents: str = ""
    preamble: str = ""
    browser: BrowserMode = "redirect"
    delivery_section: str = ""
    todo_tool: str | None = None


def compose_instructions_file(
    consumer_instructions: str,
    *,
    profile: AgentPromptProfile,
    workdir_exclude: Sequence[str],
    documentation: str | None = None,
    supports_resume: bool = True,
    host_protocol: bool = True,
    omit_task_framing: bool = False,
    fs_isolation_dirs: Sequence[tuple[str, str]] | None = None,
    file_download: bool = False,
    check_resume_log_every_message: bool = True,
    capture_max_bytes: int | None = None,
) -> str:
    """Compose the instructions file.

    Args:
        consumer_instructions: the task, as its author wrote it.
        profile: the agent's own facts.
        workdir_exclude: paths that a snapshot of the workdir leaves out.
        documentation: of the log protocol, inserted as it is; `None` documents the profile's features.
        supports_resume: explain how the session goes on after an interruption.
        host_protocol: the agent speaks the log protocol.
        omit_task_framing: insert the instructions without the heading `## Task` and what follows it.
        fs_isolation_dirs: what the sandbox allows, (path, mode) each; `None` for no sandbox.
        file_download: explain links to files.
        check_resume_log_every_message: the agent looks for a resume at each message. `False`: it gets a notice.
        capture_max_bytes: the size above which a snapshot leaves out regenerable paths, 0 for no limit. `None`: the
            worker's own setting, which is the right one unless the host has another.

    Returns:
        Markdown that ends with one newline.

    Raises:
        ValueError: the worker's setting for the size of snapshots is unusable.
    """
    sections = [profile.preamble]
    if host_protocol:
        features = ProtocolFeatures(browser=profile.browser)
        sections += [
            _COORDINATION,
            build_log_channel_prompt(features) if documentation is None else documentation,
        ]
    if supports_resume:
        sections.append(
            render_resume_section(
                profile,
                workdir_exclude,
                check_resume_log_every_message,
                capture_max_bytes=capture_max_bytes,
            )
        )
    if not host_protocol:
        sections.append(_SYSTEM_MESSAGES)
    sections.append(profile.delivery_section)
    sections += _task(consumer_instructions, _todo_note(profile.todo_tool), framed=not omit_task_framing)
    if file_download:
        sections.append(downloadables_block(comparative=host_protocol))
    if fs_isolation_dirs is not None:
        sections.append(_sandbox_note(fs_isolation_dirs))
    return "\n\n".join(section.strip("\n") for section in sections if section.strip()) + "\n"


def render_resume_section(
    profile: AgentPromptProfile,
    workdir_exclude: Sequence[str],
    check_resume_log_every_message: bool = True,
    *,
    capture_max_bytes: int | None = None,
) -> str:
    """The section about resuming; the arguments are those of `compose_instructions_file`."""
    file = profile.instructions_file
    parts = [_PRESERVED.format(excluded=_excluded(workdir_exclude), file=file)]
    bullets = []
    if profile.state_dir:
        directory = profile.state_dir.rstrip("/")
        bullets.append(
            f"- **Your `{directory}/` directory** is preserved across resumes"
            + (f". It holds {profile.state_dir_contents.rstrip('.')}." if profile.state_dir_contents else ".")
        )
    bullets.append(
        f"- Where the line says `REFRESHED:{file}`, read this file again with `cat ./{file}` and follow what it says "
        "now; what you remember of it is out of date."
    )
    bullets.append(_POLLING if check_resume_log_every_message else _NOTICE)
    parts.append("\n".join(bullets))
    limit = _capture_limit() if capture_max_bytes is None else capture_max_bytes
    if limit > 0:
        parts.append(_REGENERABLE.format(size=f"{limit / 1024**2:.10g}"))
    return "## Resumes\n\n" + "\n\n".join(parts) + "\n"


def downloadables_block(comparative: bool) -> str:
    """How an agent offers files for download.

    Args:
        comparative: also explain how that differs from a DELIVERABLE.
    """
    difference = (
        "\n\nA link is an offer to the reader of this conversation. It is not a DELIVERABLE: a result that your task "
        "asks for is announced with a `DELIVERABLE:` line as well."
    )
    return _DOWNLOADS + (difference if comparative else "") + "\n"


_PRESERVED: Final = """\
This session may be interrupted and resumed later, on this or on another machine. What is in your working directory is
preserved, background processes are not. {excluded}

Each start, the first one too, adds a line to `./resume.log`: the time (ISO 8601, UTC), and the names of the files that
the harness has changed meanwhile, as in `2026-05-04T10:00:00Z REFRESHED:{file}`."""

_POLLING: Final = """\
- At each message of the user, look at the last line of `./resume.log` first. If it is newer than the last one that you
  saw, the session has been resumed: check what is still there, start again what you need, and continue."""

_NOTICE: Final = f"""\
- When you get the message `System: {RESUME_NOTICE}`, read the latest line of `./resume.log`, check what is still there,
  start again what you need, and continue. You need not look at `./resume.log` at other times."""

_REGENERABLE: Final = """\
Keep the file `./regenerable.txt` current. It lists what can be made again, such as installed packages and build
results: one exact relative path per line, no wildcards; after a `#` note how to make it again. If your working
directory is over {size} MB when a snapshot is taken, these paths are left out. Some hosts have a lower limit, so do not
count on the size. After a resume, make again what is missing."""

_DOWNLOADS: Final = """\
## Downloadable files

To offer a file in your working directory for download, write a Markdown link whose target is `optio-file:relpath`,
where `relpath` is the file's path relative to your working directory: `[the report](optio-file:out/report.pdf)`. The
file must exist when you write the link. Encode a space in the path as `%20`."""


def _excluded(paths: Sequence[str]) -> str:
    if not paths:
        return "No paths are excluded from that."
    return f"The exclude list is: {', '.join(map(_code, paths))}."


def _task(instructions: str, todo_note: str, *, framed: bool) -> list[str]:
    body = instructions.rstrip()
    if not framed:
        return [todo_note, body]
    middle = f"{todo_note}\n\n" if todo_note else ""
    return [f"## Task\n\n{_FRAMING}\n{middle}{_TASK_MARK}\n\n{body}"]


def _todo_note(tool: str | None) -> str:
    """How the agent keeps its todo list, which the user sees as the session's progress."""
    if not tool:
        return ""
    via = tool if "," in tool else f"the `{tool}` tool"
    return (
        f"Describe your progress as a TODO list via {via}, and keep it current: the user sees it as the progress of "
        "your work. Make a list even if you were given no plan. Use the tool's description fields where it has them. "
        "If a step fails, mark it as completed and let its label end in `(failed)`."
    )


def _sandbox_note(directories: Sequence[tuple[str, str]]) -> str:
    places = ", ".join(
        _code(path) + (" (read-only)" if mode in _READ_ONLY else "") for path, mode in directories
    )
    return f"**Filesystem access:** you can reach system programs and libraries, and: {places}. All else is denied."


def _code(text: str) -> str:
    """`text` as a code span on one line, with any content.

    CommonMark ends a span at a run of as many backticks as began it.
    """
    line = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    if not longest:
        return f"`{line}`"
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}"


def _capture_limit() -> int:
    from optio_host.capture_cap import workdir_capture_max_bytes  # brings asyncssh

    return int(workdir_capture_max_bytes() or 0)
