"""An agent that makes a mistake, gets a message about it, and corrects it. Standard library only.

    optio-agents run -- python /path/to/rejected_agent.py [SECONDS]

It sieves primes, draws how they thin out, and writes a report. It delivers a table and a picture; the report
it first announces where no deliverable may lie. The harness refuses it and says why (on stdin), so the agent
moves the report and delivers it again. It takes its time, about SECONDS (default: 6), so that there is
something to watch.
"""

from __future__ import annotations

import struct
import sys
import time
import zlib
from pathlib import Path

LIMIT = 200_000
COLUMNS = 64
ROWS = 40
STEPS = 42
"""How many times it pauses, over the whole run."""


class Harness:
    """The two channels of the protocol: the log that the agent writes, and its stdin."""

    def __init__(self, seconds: float) -> None:
        self._pause = seconds / STEPS

    def say(self, line: str) -> None:
        """Write one line to the log, and take a little time over it."""
        with open("optio.log", "a", encoding="utf-8") as log:
            log.write(line + "\n")
        time.sleep(self._pause)

    def deliver(self, path: str) -> str:
        """Announce a deliverable and wait for its one reply."""
        self.say(f"DELIVERABLE: {path}")
        start = f"System: deliverable {Path(path).name}: "
        for line in sys.stdin:
            if line.startswith(start):
                return line.removeprefix(start).strip()
        sys.exit("the harness closed our input")  # the session has ended


def count_primes(harness: Harness) -> list[int]:
    """How many primes lie in each of `COLUMNS` equal slices of the numbers below `LIMIT`."""
    sieve = bytearray([0, 0]) + bytearray([1]) * (LIMIT - 2)
    root = int(LIMIT**0.5)
    for number in range(2, root + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, LIMIT, number)))
        if number % (root // 16) == 0:
            harness.say(f"STATUS: {5 + number * 40 // root}% Sieving with the primes up to {number}")
    width = LIMIT // COLUMNS
    return [sum(sieve[start : start + width]) for start in range(0, LIMIT - width + 1, width)]


def draw(counts: list[int], harness: Harness) -> bytes:
    """The counts as a bar chart, a PNG in shades of grey."""
    top = max(counts)
    rows = []
    for row in range(ROWS):
        level = top * (ROWS - row) / ROWS
        rows.append(b"\0" + bytes(40 if count >= level else 235 for count in counts))
        if row % 4 == 0:
            harness.say(f"STATUS: {55 + row * 20 // ROWS}% Drawing row {row + 1} of {ROWS}")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(counts), ROWS, 8, 0, 0, 0, 0)
    image = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", image) + chunk(b"IEND", b"")


def main() -> None:
    """Do the work, one thing after another."""
    harness = Harness(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0)
    deliverables = Path("deliverables")
    deliverables.mkdir(exist_ok=True)

    harness.say(f"STATUS: 2% Looking for primes below {LIMIT:,}")
    counts = count_primes(harness)
    table = "".join(f"{index},{count}\n" for index, count in enumerate(counts))
    (deliverables / "primes.csv").write_text("slice,primes\n" + table, encoding="utf-8")
    harness.say("STATUS: 50% Delivering the table")
    harness.deliver("deliverables/primes.csv")

    (deliverables / "primes.png").write_bytes(draw(counts, harness))
    harness.deliver("deliverables/primes.png")

    for percent, part in ((80, "the beginning"), (82, "the middle"), (85, "the end")):
        harness.say(f"STATUS: {percent}% Writing {part} of the report")
    report = Path("report.md")
    report.write_text(
        f"# Primes below {LIMIT:,}\n\nThere are {sum(counts):,}; the first slice holds {counts[0]}, the last "
        f"{counts[-1]}.\nThey thin out: see primes.png.\n",
        encoding="utf-8",
    )
    reply = harness.deliver("report.md")
    if not reply.startswith("accepted"):
        harness.say("STATUS: 88% Refused; reading why")
        print("refused:", reply, flush=True)
        for percent in (90, 92, 94, 96):
            harness.say(f"STATUS: {percent}% Putting the report where deliverables belong")
        report.rename(deliverables / report.name)
        reply = harness.deliver("deliverables/report.md")
    if not reply.startswith("accepted"):
        harness.say(f"ERROR: the report was refused twice: {reply}")
        return
    harness.say("STATUS: 99% Tidying up")
    harness.say(f"DONE: {sum(counts):,} primes counted, drawn and reported")


if __name__ == "__main__":
    main()
