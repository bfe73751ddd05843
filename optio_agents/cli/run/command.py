"""`optio-agents run`: its arguments. The run itself is imported on use (`local_run`, `ssh_run`, ...)."""

from __future__ import annotations

import argparse
from pathlib import Path

from optio_agents.cli.arguments import AGENT_NAMES, check_web
from optio_agents.cli.color import add_color_option
from optio_agents.cli.configuration import given
from optio_agents.cli.durations import duration
from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.features import add_feature_options, features_of
from optio_agents.cli.run.agent_settings import (
    AgentSettings,
    make_agent,
    read_prompt,
    read_rules,
)
from optio_agents.cli.run.settings import RunSettings, Show, check_workdir, find_program
from optio_agents.cli.run.ssh_target import parse_target
from optio_agents.hosts.ssh.settings import ORPHAN_GRACE, HostKeyPolicy, SshSettings

DESCRIPTION = """\
Run a coding agent (--agent NAME and a prompt), or any COMMAND, as an agent.

With --agent, the agent works here, is given the log protocol and the prompt, and is answered in its conversation; its
questions and permission requests are asked on the terminal, or decided by --allow, --yes-to and --deny.

Run COMMAND as an agent under the optio log protocol: its current directory is the workdir, in which it writes
optio.log (emptied by each run) and deliverables/. What the harness has to say to it (replies to
deliverables) comes on its stdin, one message per line. Its own output is kept in a file; the end of it is
shown when the run fails."""

EPILOG = """\
examples:
  optio-agents run --agent claude "Fix the failing test"
  optio-agents run --agent codex --allow Read --allow 'shell(pytest *)' --prompt-file task.md
  optio-agents run --workdir . --timeout 600 -- ./agent.sh --verbose
  optio-agents run --ssh me@build.example -- /opt/agent/run
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run` and its arguments."""
    parser = subparsers.add_parser(
        "run",
        help="run a command as an agent, show its progress and save its deliverables",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage='optio-agents run --agent NAME [options] "PROMPT"\n       optio-agents run [options] -- COMMAND [ARG...]',
    )
    _add_agent_options(parser)
    parser.add_argument(
        "--ssh",
        metavar="[USER@]HOST[:PORT]",
        help="run COMMAND on HOST, in a fresh directory under /tmp that is removed afterwards; HOST may be a "
        "name of ~/.ssh/config or a URL ssh://...; its key is checked against ~/.ssh/known_hosts",
    )
    parser.add_argument(
        "--identity",
        type=Path,
        metavar="FILE",
        help="the private key for --ssh (default: those of ssh-agent, ~/.ssh/config and ~/.ssh/id_*)",
    )
    parser.add_argument(
        "--known-hosts",
        type=Path,
        metavar="FILE",
        help="check HOST's key against FILE instead of ~/.ssh/known_hosts",
    )
    parser.add_argument(
        "--accept-new-host-key",
        action="store_true",
        help="add the key of a HOST that is not known yet; a key that has changed is refused all the same",
    )
    parser.add_argument(
        "--orphan-grace",
        type=duration,
        metavar="DURATION",
        help="with --ssh: end COMMAND on HOST when no connection to it was there for so long (default: 5m)",
    )
    parser.add_argument(
        "--workdir",
        type=Path,
        metavar="DIR",
        help="work in DIR, which is made if it is missing and never wiped (default: a fresh temporary directory)",
    )
    parser.add_argument(
        "--deliverables",
        type=Path,
        metavar="DIR",
        default=Path("deliverables"),
        help="save deliverables in DIR (default: ./deliverables)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="keep COMMAND's own output in FILE (default: a temporary file, kept only when the run fails)",
    )
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="DURATION",
        help="end COMMAND after DURATION: 90, 90s, 10m, 1h30m (exit code 124)",
    )
    parser.add_argument(
        "--stdin",
        choices=("messages", "null", "inherit"),
        default="messages",
        help="what COMMAND reads on its stdin: the harness's messages and lines typed at the live display, "
        "nothing, or ours (default: %(default)s)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="DONE is a failure when a deliverable stayed rejected"
    )
    parser.add_argument(
        "--overwrite-hidden",
        action="store_true",
        help="let a deliverable with a dot in front of a name (.git/config) replace a file that exists",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON object per event on stdout")
    shown.add_argument("-q", "--quiet", action="store_true", help="show nothing unless the run fails")
    add_color_option(parser)
    add_feature_options(parser)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="COMMAND",
        help="the program, then its arguments; with --agent: the prompt, - reads it from stdin",
    )


def _add_agent_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a coding agent that is talked to")
    group.add_argument("--agent", choices=AGENT_NAMES, help="which one")
    group.add_argument(
        "--prompt-file", type=Path, metavar="FILE", help="read the prompt from FILE; - is stdin"
    )
    group.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="RULE",
        help="allow what fits RULE: Read, 'Edit(src/*)', 'Bash(git *)'; a bare tool name for the whole session",
    )
    group.add_argument(
        "--yes-to",
        action="append",
        default=[],
        metavar="RULE",
        help="allow what fits RULE, each time it is asked",
    )
    group.add_argument(
        "--deny",
        action="append",
        default=[],
        metavar="RULE",
        help="deny what matches RULE, even if another rule allows it",
    )
    group.add_argument(
        "--show",
        choices=("text", "tools", "nothing"),
        default="text",
        help="what of the agent is shown; tools: its text, and a line for each use of a tool and its result "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--web",
        action="store_true",
        help="serve a page of the conversation on this machine, and print its address",
    )
    group.add_argument("--resume", metavar="SESSION", help="resume an earlier session of the agent")
    group.add_argument("--agent-command", metavar="COMMAND", help="how to run the agent, if not by its name")


def settings(args: argparse.Namespace) -> RunSettings:
    """The checked settings.

    Raises:
        UsageError: an argument cannot be used; the message says which and why.
    """
    ssh = ssh_target(args)
    workdir: Path | None
    command: tuple[str, ...]
    if args.agent is not None:
        workdir, command = check_workdir(args.workdir or Path.cwd()), (args.agent,)
    else:
        _refuse_agent_options(args)
        workdir = None if args.workdir is None else check_workdir(args.workdir)
        if not args.words:
            raise UsageError("say what to run: optio-agents run -- COMMAND, or optio-agents run --agent NAME")
        program = args.words[0] if ssh is not None else find_program(args.words[0], workdir)
        if not program:
            raise UsageError("COMMAND is empty")
        command = (program, *args.words[1:])
    return RunSettings(
        command=command,
        workdir=workdir,
        deliverables=args.deliverables.absolute(),
        output=None if args.output is None else args.output.absolute(),
        stdin=args.stdin,
        timeout=args.timeout,
        strict=args.strict,
        overwrite_hidden=args.overwrite_hidden,
        show=Show.JSON if args.json else Show.QUIET if args.quiet else Show.AUTO,
        color=args.color,
        features=features_of(args),
        ssh=ssh,
        orphan_grace=args.orphan_grace or ORPHAN_GRACE,
    )


def agent_settings(args: argparse.Namespace) -> AgentSettings:
    """The checked settings of `--agent`.

    Raises:
        UsageError: what was given cannot be used.
    """
    if args.web:
        check_web()
    if args.ssh is not None:
        raise UsageError("--agent works on this machine; over --ssh, run the agent as a COMMAND")
    from optio_agents.conversation.agents import replaying

    agent = make_agent(args.agent, args.agent_command, args.resume)
    return AgentSettings(
        replaying(agent) if args.web else agent,
        read_prompt(args.words, args.prompt_file),
        read_rules(args.allow, args.yes_to, args.deny),
        args.show,
        web=args.web,
        prompt_from_stdin=args.words == ["-"] or str(args.prompt_file) == "-",
    )


def _refuse_agent_options(args: argparse.Namespace) -> None:
    for option in ("prompt_file", "allow", "yes_to", "deny", "web", "resume", "agent_command"):
        if given(args, option):
            raise UsageError(f"--{option.replace('_', '-')} requires --agent")


def ssh_target(args: argparse.Namespace) -> SshSettings | None:
    """The remote host, if there is one.

    Raises:
        UsageError: it cannot be parsed, or other options contradict it.
    """
    if args.ssh is None:
        for option in ("identity", "known_hosts", "accept_new_host_key", "orphan_grace"):
            if given(args, option):
                raise UsageError(f"--{option.replace('_', '-')} requires --ssh")
        return None
    if args.stdin != "messages" and given(args, "stdin"):
        raise UsageError("--stdin works on this machine, not with --ssh")
    if args.workdir is not None:
        raise UsageError("--workdir is a directory here; with --ssh the workdir is a fresh one on the host")
    return parse_target(args.ssh, args.identity, HostKeyPolicy(args.known_hosts, args.accept_new_host_key))


def run(args: argparse.Namespace) -> int:
    """Run COMMAND; return the exit code."""
    checked = settings(args)
    if args.agent is not None:
        agent = agent_settings(args)
        from optio_agents.cli.run.conversation_run import run_coding_agent

        return run_coding_agent(checked, agent)
    if checked.ssh is not None:
        from optio_agents.cli.run.ssh_run import run_agent_over_ssh

        return run_agent_over_ssh(checked, checked.ssh)
    from optio_agents.cli.run.local_run import run_agent

    return run_agent(checked)
