"""Memory of an idle actor: `python -m benchmarks.actors.memory SYSTEM COUNT` prints bytes, in a fresh process."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
from pathlib import Path
from typing import Any

import trio

PAGE = 4096


def resident() -> int:
    """Bytes of this process that are in memory now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def main(system: str, count: int) -> None:
    """Print the growth of the resident set for each of `count` actors."""
    module: Any = importlib.import_module(f"benchmarks.actors.{system}")
    found: list[int] = []

    def note() -> None:
        found.append(resident())

    async def note_async() -> None:
        note()

    for n in (10, count):  # the first few pay for what all share
        if system == "with_pykka":
            module.populate(n, note)
        elif system in ("ours", "bare_trio"):
            trio.run(module.populate, n, note_async)
        else:
            asyncio.run(module.populate(n, note_async))
    print((found[1] - found[0]) / (count - 10))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
