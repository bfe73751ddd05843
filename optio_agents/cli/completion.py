"""`optio-agents completion`: print the script that completes our commands and options in a shell."""

from __future__ import annotations

import argparse
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")

DESCRIPTION = """\
Print a completion script for SHELL. To use it in each new shell:

  bash  echo 'eval "$(optio-agents completion bash)"' >> ~/.bashrc
  zsh   optio-agents completion zsh > DIR/_optio-agents, where DIR is in $fpath
  fish  optio-agents completion fish > ~/.config/fish/completions/optio-agents.fish
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `completion` and its argument."""
    parser = subparsers.add_parser(
        "completion",
        help="print a completion script for a shell",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="one of %(choices)s")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    import shtab

    from optio_agents.cli.main import COMMANDS, build_parser

    parser = build_parser(list(COMMANDS))
    _name_the_files(parser, shtab.FILE, shtab.DIR)
    print(shtab.complete(parser, shell=args.shell))
    return 0


def _name_the_files(parser: argparse.ArgumentParser, file: object, directory: object) -> None:
    """Let the shell complete file names for each argument that is a path."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _name_the_files(each, file, directory)
        elif action.type is Path:
            vars(action)["complete"] = directory if action.metavar == "DIR" else file
