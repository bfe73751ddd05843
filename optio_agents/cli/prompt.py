"""`optio-agents prompt`: print the documentation of the log protocol, for an agent's instructions."""

from __future__ import annotations

import argparse

from optio_agents.cli.features import add_feature_options, features_of


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `prompt` and its arguments."""
    parser = subparsers.add_parser(
        "prompt",
        help="print the protocol's documentation for an agent",
        description="Print, as Markdown, what an agent has to know about the log protocol.",
    )
    add_feature_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from optio_agents.protocol.prompt import build_log_channel_prompt

    print(build_log_channel_prompt(features_of(args)), end="")
    return 0
