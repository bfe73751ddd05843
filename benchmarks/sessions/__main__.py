"""`python -m benchmarks.sessions`: measure, and write the page."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.sessions import mongod, page
from benchmarks.sessions.bench import Bench
from benchmarks.sessions.logs import Logs
from benchmarks.sessions.rivals import CACHE, CHECKOUT, PUBLISHED_VERSION, floors, ours, published

PAGE = CHECKOUT / "docs" / "benchmarks.md"
RESULTS = CACHE / "results.json"


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    if options.from_results:
        page.write(json.loads(RESULTS.read_text()), PAGE)
        return
    began = time.monotonic()
    results: dict[str, Any] = {
        "version": PUBLISHED_VERSION,
        "machine": page.machine(),
        "quick": options.quick,
    }
    if options.only and not options.quick and RESULTS.exists():
        results = json.loads(RESULTS.read_text()) | results
    with ExitStack() as stack:
        program = mongod.binary()
        uri = stack.enter_context(mongod.running(program)) if program else None
        asyncio, trio = ours()
        logs = Logs(stack.enter_context(_log_directory()))
        bench = Bench(published(), asyncio, trio, floors(), logs, options.quick, uri)
        for name, group in page.GROUPS.items():
            if (options.only and name not in options.only) or (options.quick and name == "profiles"):
                continue
            results[name] = group.measure(bench)
            if not options.quick:
                RESULTS.write_text(json.dumps(results))
                page.write(results, PAGE)
        bench.say(f"measured in {time.monotonic() - began:.0f} s")
    if options.quick:
        sys.stdout.write(page.markdown(results))


@contextmanager
def _log_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="optio-bench-logs-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sessions", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small logs, few rounds; prints, and writes no page"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=page.GROUPS,
        help="only this group of rows; the rest of the page stays",
    )
    parser.add_argument(
        "--from-results",
        action="store_true",
        help=f"write the page again from {RESULTS.relative_to(CHECKOUT)}",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
