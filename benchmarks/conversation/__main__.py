"""Measure and print one JSON object; the ratios are what to trust, the times depend on the machine.

    python -m benchmarks.conversation [--peer] [--views] [EVENTS]

`--views` measures what typed views cost, and nothing else.
`--peer` measures claude-agent-sdk's client, too: it is installed into `.bench/` once.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from benchmarks.conversation.replayed import measure, measure_views

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".bench"
PEER = "claude-agent-sdk==0.2.189"
ROUNDS = 3
LIMIT_SECONDS = 300.0


def peer_python() -> str:
    """The interpreter of the peer's environment; makes it if it is not there."""
    place = CACHE / PEER.replace("==", "-")
    python, marker = place / "bin" / "python", place / ".complete"
    if not marker.exists():
        venv.create(place, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
        marker.touch()
    return str(python)


def best(command: list[str]) -> dict[str, Any]:
    """The round with the most events per second."""
    rounds: list[dict[str, Any]] = []
    for _ in range(ROUNDS):
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS)
        rounds.append(json.loads(done.stdout.splitlines()[-1]))
    return max(rounds, key=lambda each: each["events_per_second"])


def with_a_program(events: int) -> dict[str, Any]:
    """Ours and the peer's client with the same scripted program."""
    ours = [sys.executable, "-m", "benchmarks.conversation.ours"]
    with tempfile.TemporaryDirectory() as folder:
        cli = Path(folder) / "claude"
        program = shlex.join([sys.executable, str(HERE / "scripted_cli.py")])
        cli.write_text(f"#!/bin/sh\nexec {program}\n")
        cli.chmod(0o755)
        peer = best([peer_python(), "-P", str(HERE / "peer.py"), str(cli), str(events)])
    figures: dict[str, Any] = {PEER: peer}
    for world in ("trio", "views", "asyncio"):
        got = best([*ours, world, str(events)])
        figures[world] = {
            **got,
            "times_the_peer": round(got["events_per_second"] / peer["events_per_second"], 2),
        }
    return figures


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", action="store_true", help="measure claude-agent-sdk's client, too")
    parser.add_argument("--views", action="store_true", help="measure what typed views cost")
    parser.add_argument("events", nargs="?", type=int, default=100_000)
    args = parser.parse_args()
    figures: dict[str, Any] = (measure_views if args.views else measure)(args.events)
    if args.peer:
        figures["with_a_scripted_program"] = with_a_program(args.events)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
