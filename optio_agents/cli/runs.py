"""`optio-agents runs`: list earlier runs."""

from __future__ import annotations

import argparse
import json

from optio_agents.cli.durations import clock
from optio_agents.cli.runs_directory import past_runs, runs_directory
from optio_agents.protocol.display import display_text

COMMAND_LIMIT = 60


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `runs` and its arguments."""
    parser = subparsers.add_parser(
        "runs",
        help="list earlier runs",
        description="List the runs of `optio-agents run`, the newest first. `show ID` tells one.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per run")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="at most N runs (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    found = past_runs(runs_directory())[: max(0, args.limit)]
    for each in found:
        if args.json:
            print(json.dumps({"id": each.id, "directory": str(each.directory), **each.manifest}))
            continue
        command = " ".join(str(word) for word in each.manifest.get("command", []))
        elapsed = each.manifest.get("elapsed")
        took = clock(elapsed) if isinstance(elapsed, int | float) else "-"
        print(f"{each.id}  {each.result:12} {took:>8}  {display_text(command, COMMAND_LIMIT)}")
    if not found and not args.json:
        print(f"no runs in {runs_directory()}")
    return 0
