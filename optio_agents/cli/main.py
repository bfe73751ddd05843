"""Finding the command and running it; the one place where exceptions become exit codes."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from optio_agents.cli.arguments import CommandParser, did_you_mean
from optio_agents.cli.configuration import apply_defaults
from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.stderr import discard_stdout, write_stderr

PROGRAM = "optio-agents"

COMMANDS = {
    "run": "optio_agents.cli.run.command",
    "chat": "optio_agents.cli.chat.command",
    "prompt": "optio_agents.cli.prompt",
    "check": "optio_agents.cli.check",
    "runs": "optio_agents.cli.runs",
    "show": "optio_agents.cli.show",
    "replay": "optio_agents.cli.replay",
    "completion": "optio_agents.cli.completion",
    "worker": "optio_agents.cli.worker.command",
    "tasks": "optio_agents.cli.tasks.command",
}
"""Each command and the module that does it: `add_parser(subparsers)` and `run(args) -> int`."""

SUMMARIES = {
    "run": "run a command as an agent, show its progress and save its deliverables",
    "chat": "talk to a coding agent",
    "prompt": "print the protocol's documentation for an agent",
    "check": "say what each line of a log means",
    "runs": "list earlier runs",
    "show": "tell an earlier run like a story",
    "replay": "show an earlier run again, at its own pace",
    "completion": "print a completion script for a shell",
    "worker": "run an optio worker for the tasks that a Python function defines",
    "tasks": "list, launch, cancel and resume the tasks of a worker, and read their logs",
}
"""The `help` of each command's parser. `--help` prints it without importing the commands."""

EPILOG = """\
exit codes of run:
  0 DONE   1 ERROR   2 unusable arguments   3 ended before DONE   70 a bug of ours
  74 a deliverable could not be saved, or the host not be reached   124 timeout   130 interrupted
"""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Command(Protocol):
    """The interface of a command's module. It must import little, because it is loaded for `--help`, too."""

    def add_parser(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser], /) -> object:
        """Add the command's own parser."""

    def run(self, args: argparse.Namespace, /) -> int:
        """Run the command; return the exit code."""


class _Version(argparse.Action):
    """`--version`, looked up only when it is used (importlib.metadata is slow to import)."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(PROGRAM, version("optio-agents"))
        parser.exit()


def load(name: str) -> Command:
    """The module of the command `name`."""
    return cast(Command, importlib.import_module(COMMANDS[name]))


def build_parser(names: Sequence[str], environment: Mapping[str, str] | None = None) -> CommandParser:
    """The parser for the commands `names`; only their modules are imported.

    Args:
        names: of `COMMANDS`.
        environment: where the user's own defaults come from (`cli.configuration`); None: there are none.

    Raises:
        UsageError: one of these defaults cannot be used.
    """
    parser = _program_parser()
    subparsers = _add_subparsers(parser)
    for name in names:
        load(name).add_parser(subparsers)
        if environment is not None:
            apply_defaults(subparsers.choices[name], name, environment)
    return parser


def build_overview() -> CommandParser:
    """The parser that only tells what there is: its commands have no arguments."""
    parser = _program_parser()
    subparsers = _add_subparsers(parser)
    for name, summary in SUMMARIES.items():
        subparsers.add_parser(name, help=summary)
    return parser


def _program_parser() -> CommandParser:
    parser = CommandParser(
        prog=PROGRAM,
        description="Run coding agents under the optio log protocol, talk to them, check what they wrote.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    return parser


def _add_subparsers(parser: CommandParser) -> Any:
    return parser.add_subparsers(
        dest="command_name", metavar="COMMAND", required=True, parser_class=CommandParser
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the program. If they cannot be used, print a hint and exit with 2."""
    named = arguments[0] if arguments and arguments[0] in COMMANDS else None
    if named is None and arguments and not arguments[0].startswith("-"):
        hint = did_you_mean(arguments[0], COMMANDS) or f"; the commands are {', '.join(COMMANDS)}"
        build_parser([]).error(f"there is no command {arguments[0]!r}{hint}")
    if not arguments or arguments[0] in ("-h", "--help", "--version"):
        return build_overview().parse_args(arguments)
    # `--help` must work even if the user's configuration file is invalid.
    environment = None if {"-h", "--help"} & set(arguments) else os.environ
    parser = build_parser([named], environment) if named else build_parser(list(COMMANDS))
    args, extra = parser.parse_known_args(arguments)
    if extra:
        command = build_command_parser(args.command_name)
        command.unknown(extra, arguments[1:])
    return args


def build_command_parser(name: str) -> CommandParser:
    """The parser of one command alone."""
    subparsers: Any = CommandParser(prog=PROGRAM).add_subparsers(parser_class=CommandParser)
    load(name).add_parser(subparsers)
    return cast(CommandParser, subparsers.choices[name])


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point `optio-agents`; `argv` without the program's name. Returns the exit code."""
    _fill_closed_streams()
    _show_what_cannot_be_encoded()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parse(arguments)
        code = load(args.command_name).run(args)
        sys.stdout.flush()
    except CommandFailure as failure:
        write_stderr(f"{PROGRAM}: {failure.message}")
        return int(failure.code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        discard_stdout()
        return int(ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the edge of the program: what else comes this far is our bug
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            discard_stdout()
            write_stderr(f"{PROGRAM}: cannot write: {error.strerror}")
            return int(ExitCode.IO_ERROR)
        if _lacks_descriptors(error):
            write_stderr(f"{PROGRAM}: too few file descriptors: raise the limit (ulimit -n)")
            return int(ExitCode.IO_ERROR)
        import traceback

        write_stderr(*traceback.format_exc().splitlines())
        write_stderr(f"{PROGRAM}: this is a bug in optio-agents, not in your command")
        return int(ExitCode.BUG)
    return int(code)


def _lacks_descriptors(error: BaseException | None) -> bool:
    """Whether the error comes from the system's limit on open files."""
    if isinstance(error, BaseExceptionGroup):
        return any(_lacks_descriptors(each) for each in error.exceptions)
    if isinstance(error, OSError):
        return error.errno in _NO_DESCRIPTORS
    return error is not None and _lacks_descriptors(error.__cause__ or error.__context__)


def _fill_closed_streams() -> None:
    """If we were started with a closed standard stream (`>&-`), open it, so that no other file gets its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as we live


def _show_what_cannot_be_encoded() -> None:
    """An agent may write any character. On a terminal or pipe that is not UTF-8, print a `?` instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
