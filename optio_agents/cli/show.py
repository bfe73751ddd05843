"""`optio-agents show ID`: print an earlier run, event by event."""

from __future__ import annotations

import argparse

from optio_agents.cli.durations import clock
from optio_agents.cli.runs_directory import EVENTS, LOG, OUTPUT, find_run
from optio_agents.protocol.display import display_text

LINE_LIMIT = 4_000
"""Characters of a shown line."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `show` and its arguments."""
    parser = subparsers.add_parser(
        "show",
        help="tell an earlier run like a story",
        description="Show what happened in an earlier run, event by event, and where its files are.",
    )
    parser.add_argument("id", metavar="ID", help="a run of `optio-agents runs`, a part of its id, or last")


def run(args: argparse.Namespace) -> int:
    """Print the run."""
    past = find_run(args.id)
    manifest = past.manifest
    print(f"run {past.id}: {display_text(' '.join(map(str, manifest.get('command', []))), LINE_LIMIT)}")
    if manifest.get("workdir"):
        print(f"in {display_text(str(manifest['workdir']), LINE_LIMIT)}")
    for event in past.events():
        if event.get("line"):
            print(f"{clock(event.get('elapsed', 0)):>8}  {display_text(str(event['line']), LINE_LIMIT)}")
    for name in (OUTPUT, LOG, EVENTS):
        if (past.directory / name).exists():
            print(f"{name}: {past.directory / name}")
    return 0
