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

from benchmarks.sessions import mongod, page
from benchmarks.sessions.bench import Bench
from benchmarks.sessions.logs import Logs
from benchmarks.sessions.probe.sessions import root
from benchmarks.sessions.rivals import CACHE, CHECKOUT, PUBLISHED_VERSION, ours, published

PAGE = CHECKOUT / "docs" / "benchmarks.md"
RESULTS = "results.json"


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    if options.from_results:
        page.write(json.loads((CACHE / RESULTS).read_text()), PAGE)
        return
    began = time.monotonic()
    with ExitStack() as stack:
        program = mongod.binary()
        uri = stack.enter_context(mongod.running(program)) if program else None
        asyncio, trio = ours()
        logs = Logs(stack.enter_context(_log_directory()))
        bench = Bench(published(), asyncio, trio, logs, options.quick, uri)
        results = {"version": PUBLISHED_VERSION, "machine": page.machine(), "quick": options.quick}
        for name, group in page.GROUPS.items():
            if (not options.only or name in options.only) and not (options.quick and name == "profiles"):
                results[name] = group.measure(bench)
        bench.say(f"measured in {time.monotonic() - began:.0f} s")
    if options.quick or options.only:
        sys.stdout.write(page.markdown(results))
    else:
        CACHE.mkdir(exist_ok=True)
        (CACHE / RESULTS).write_text(json.dumps(results))
        page.write(results, PAGE)


@contextmanager
def _log_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="optio-bench-logs-", dir=root()))
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
        "--only", action="append", choices=page.GROUPS, help="only this group of rows (prints)"
    )
    parser.add_argument(
        "--from-results", action="store_true", help=f"write the page anew from .bench/{RESULTS}"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
