"""`optio-agents replay ID`: show an earlier run again, at its original speed."""

from __future__ import annotations

import argparse
import time

from optio_agents.cli.durations import duration_text
from optio_agents.cli.runs_directory import find_run
from optio_agents.protocol.display import display_text

LINE_LIMIT = 4_000
"""Characters of a shown line."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `replay` and its arguments."""
    parser = subparsers.add_parser(
        "replay",
        help="show an earlier run again, at its own pace",
        description="Print the events of an earlier run as they came, with the pauses between them.",
    )
    parser.add_argument("id", metavar="ID", help="a run of `optio-agents runs`, a part of its id, or last")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="X times as fast (default: 1)")
    parser.add_argument(
        "--pause", type=float, default=5.0, metavar="SECONDS", help="the longest pause (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Print it."""
    past = find_run(args.id)
    before = 0.0
    for event in past.events():
        elapsed = float(event.get("elapsed", before))
        pause = min(args.pause, max(0.0, elapsed - before) / max(args.speed, 0.001))
        before = elapsed
        if not event.get("line"):
            continue
        time.sleep(pause)
        print(display_text(str(event["line"]), LINE_LIMIT), flush=True)
    if before:
        print(f"({duration_text(round(before))} in all)")
    return 0
