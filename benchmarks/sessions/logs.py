"""The logs that are handled: made from a seed, the same bytes for everybody."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEED = 20260101
BLOCK = 8 * 1000 * 1000
"""Bytes of lines that are made from the seed; a longer log repeats them."""

DELIVERABLES = 1000
"""How many different files a log announces, one after another, over and over."""

WORDS = [
    "compiled",
    "linked",
    "tested",
    "module",
    "cache",
    "worker",
    "request",
    "response",
    "token",
    "layer",
    "shard",
]
WORDS += [
    "index",
    "parser",
    "schema",
    "retry",
    "upstream",
    "config",
    "session",
    "queue",
    "buffer",
    "kernel",
    "thread",
]

LineMaker = Callable[[random.Random, int], bytes]


@dataclass(frozen=True, slots=True)
class Mix:
    """A kind of log."""

    name: str
    title: str
    make_line: LineMaker
    deliverables: int = 0
    caller_messages: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """A log file that ends in DONE."""

    path: str
    size: int
    lines: int
    deliverables: int


def _plain(chance: random.Random, number: int) -> bytes:
    words = " ".join(chance.choices(WORDS, k=chance.randint(3, 12)))
    return f"2026-01-01T12:{number % 60:02}:{chance.randrange(60):02}Z INFO worker[{number % 7}]: {words}\n".encode()


def _status(chance: random.Random, number: int) -> bytes:
    words = " ".join(chance.choices(WORDS, k=chance.randint(2, 5)))
    return f"STATUS: {number % 101}% {words} {number}\n".encode()


def _mixed(chance: random.Random, number: int) -> bytes:
    kind = number % 20
    if kind == 0:
        return b"\n"
    if kind == 1:
        return f"    größere Einrückung → {number} ✓\n".encode()
    if kind == 2:
        return b"\x1b[32mok\x1b[0m " + _plain(chance, number)
    return (_status if kind < 6 else _plain)(chance, number)


def _deliverable(chance: random.Random, number: int) -> bytes:
    if number % 100 == 0:
        return f"DELIVERABLE: deliverables/report-{number // 100 % DELIVERABLES}.txt\n".encode()
    return _plain(chance, number)


def _caller(chance: random.Random, number: int) -> bytes:
    data = {
        "step": number,
        "words": chance.choices(WORDS, k=4),
        "share": round(chance.random(), 4),
        "done": False,
    }
    return f"CALLER_MESSAGE: progress {json.dumps(data)}\n".encode()


PLAIN = Mix("plain", "chatty log", _plain)
STATUS = Mix("status", "STATUS log", _status)
MIXED = Mix("mixed", "plain, STATUS, blank, indented and coloured lines", _mixed)
DELIVERABLE = Mix(
    "deliverable", "1 in 100 lines a deliverable of 1 KB", _deliverable, deliverables=DELIVERABLES
)
CALLER = Mix("caller", "JSON caller messages, each to a callback", _caller, caller_messages=True)

MIXES = (PLAIN, STATUS, MIXED, DELIVERABLE, CALLER)


class Logs:
    """Makes each log once.

    Args:
        directory: where they are kept while the benchmark runs.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: dict[str, Log] = {}

    def get(self, mix: Mix, megabytes: float, *, first: bytes = b"", last: bytes = b"") -> Log:
        """A log of about this many MB (10^6 bytes) that ends in DONE; `first` and `last` are lines around the rest."""
        name = f"{mix.name}-{megabytes:g}{'-framed' if first or last else ''}.log"
        if name not in self._made:
            self._made[name] = self._write(
                name, _block(mix, megabytes), megabytes, first, last + b"DONE: that is all\n"
            )
        return self._made[name]

    def of_lines(self, mix: Mix, count: int) -> Log:
        """A log of exactly `count` lines, and DONE."""
        name = f"{mix.name}-{count}-lines.log"
        if name not in self._made:
            chance = random.Random(f"{SEED}/{mix.name}")
            block = b"".join(mix.make_line(chance, number) for number in range(count))
            self._made[name] = self._write(name, block, len(block) / 1e6, b"", b"DONE: that is all\n")
        return self._made[name]

    def one_line(self, size: int) -> Log:
        """A log of one line of this many bytes, and DONE."""
        name = f"one-line-{size}.log"
        if name not in self._made:
            self._made[name] = self._write(name, b"x" * 1_000_000, size / 1e6, b"", b"\nDONE\n")
        return self._made[name]

    def _write(self, name: str, block: bytes, megabytes: float, first: bytes, last: bytes) -> Log:
        path = self._directory / name
        lines = first.count(b"\n") + last.count(b"\n")
        deliverables = 0
        with path.open("wb") as file:
            file.write(first)
            for _ in range(max(1, round(megabytes * 1e6 / len(block)))):
                file.write(block)
                lines += block.count(b"\n")
                deliverables += block.count(b"DELIVERABLE: ")
            file.write(last)
        return Log(str(path), os.path.getsize(path), lines, deliverables)


def _block(mix: Mix, megabytes: float) -> bytes:
    chance = random.Random(f"{SEED}/{mix.name}")
    limit = min(BLOCK, int(megabytes * 1e6))
    lines: list[bytes] = []
    size = 0
    while size < limit:
        line = mix.make_line(chance, len(lines))
        lines.append(line)
        size += len(line)
    return b"".join(lines)
