"""Processes as values read from `/proc`."""

from __future__ import annotations

import os

import pytest

from optio_agents.hosts.processes.snapshot import parse_stat, read_entry, read_snapshot


def test_the_stat_line_of_a_program_with_parentheses_in_its_name() -> None:
    tail = b" ".join(str(number).encode() for number in range(4, 53))
    parsed = parse_stat(b"77 (a) (b c) S " + tail)
    assert (parsed.pid, parsed.name, parsed.parent, parsed.session, parsed.started) == (
        77,
        "a) (b c",
        4,
        6,
        22,
    )
    assert parse_stat(b"77 (x) Z " + tail).dead
    with pytest.raises(ValueError, match="not a stat line"):
        parse_stat(b"")


def test_this_process_is_in_a_snapshot() -> None:
    mine = read_entry(os.getpid())
    assert (mine.pid, mine.parent, mine.dead) == (os.getpid(), os.getppid(), False)
    assert read_snapshot()[os.getpid()] == mine
