"""The processes of this machine, as values read from `/proc`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """One process in a snapshot. `started` (clock ticks since boot) tells a reused pid from the old one."""

    pid: int
    parent: int
    session: int
    started: int
    name: str = ""
    dead: bool = False
    """A zombie: it runs no more and waits for its parent to collect its status."""


Snapshot = Mapping[int, ProcessEntry]


def parse_stat(stat: bytes) -> ProcessEntry:
    """One `/proc/<pid>/stat`. The name stands in parentheses and may itself hold spaces and parentheses.

    Raises:
        ValueError: it is no such text.
    """
    head, opened, rest = stat.partition(b" (")
    name, closed, tail = rest.rpartition(b") ")
    fields = tail.split()
    if not opened or not closed or len(fields) < 20:
        raise ValueError(f"not a stat line: {stat[:80]!r}")
    return ProcessEntry(
        pid=int(head),
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        name=name.decode(errors="replace"),
        dead=fields[0] in (b"Z", b"X"),
    )


def read_entry(pid: int) -> ProcessEntry:
    """One process, as `/proc` shows it now.

    Raises:
        FileNotFoundError: there is none.
        OSError, ValueError: it ended while it was read.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        return parse_stat(file.read())


def read_snapshot() -> dict[int, ProcessEntry]:
    """All processes of this machine, as `/proc` shows them now."""
    snapshot = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            # It may end between the listing and the reading.
            with suppress(OSError, ValueError):
                snapshot[int(name)] = read_entry(int(name))
    return snapshot


def read_marked(snapshot: Snapshot, marker: Mapping[str, str]) -> set[int]:
    """The pids in `snapshot` whose environment holds `marker` (those that we may look into)."""
    wanted = [os.fsencode(f"{name}={value}") for name, value in marker.items()]
    marked = set()
    for pid in snapshot:
        with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
            if wanted and all(variable in variables for variable in wanted):
                marked.add(pid)
    return marked
