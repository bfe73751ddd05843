"""The tree of a program: pure selection over made-up snapshots, then real processes that try to get away."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, strategies as st

from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.process_tree import (
    EndedBy,
    Lineage,
    ProcessTree,
    TreeEnd,
    end_tree,
    marker_environment,
)
from optio_agents.hosts.processes.snapshot import ProcessEntry

HANG_GUARD = 60.0


def entry(pid: int, parent: int, *, session: int = 1, started: int | None = None) -> ProcessEntry:
    return ProcessEntry(pid, parent, session, pid * 10 if started is None else started)


def snapshot(*entries: ProcessEntry) -> dict[int, ProcessEntry]:
    return {each.pid: each for each in entries}


def pids(entries: list[ProcessEntry]) -> set[int]:
    return {each.pid for each in entries}


ROOT = entry(100, 1, session=100)


def test_descendants_at_any_depth_belong_and_strangers_do_not() -> None:
    lineage = Lineage(ROOT)
    seen = snapshot(ROOT, entry(101, 100), entry(102, 101), entry(103, 102), entry(50, 1), entry(51, 50))
    assert pids(lineage.select(seen)) == {100, 101, 102, 103}


def test_an_orphan_that_was_seen_before_still_belongs_when_its_parents_are_gone() -> None:
    lineage = Lineage(ROOT)
    lineage.select(snapshot(ROOT, entry(101, 100), entry(102, 101, session=102)))
    assert pids(lineage.select(snapshot(entry(102, 1, session=102)))) == {102}


def test_an_orphan_never_seen_belongs_by_the_session_of_a_dead_leader() -> None:
    lineage = Lineage(ROOT)
    lineage.select(snapshot(ROOT, entry(101, 100, session=101)))
    assert pids(lineage.select(snapshot(entry(105, 1, session=101)))) == {105}


def test_an_orphan_never_seen_belongs_by_its_marker_and_brings_its_children() -> None:
    lineage = Lineage(ROOT)
    seen = snapshot(entry(105, 1, session=105), entry(106, 105, session=105), entry(107, 1, session=105))
    assert pids(lineage.select(seen, marked={105})) == {105, 106, 107}


def test_a_reused_pid_is_a_stranger_and_so_is_the_session_it_opened() -> None:
    lineage = Lineage(ROOT)
    stranger = entry(100, 1, session=100, started=999_999)
    assert lineage.select(snapshot(stranger, entry(200, 100, session=100))) == []


def test_the_session_we_share_with_the_root_does_not_make_us_a_member() -> None:
    root = entry(100, 7, session=7)
    us = entry(7, 1, session=7)
    assert pids(Lineage(root).select(snapshot(us, root, entry(8, 7, session=7)))) == {100}


def test_zombies_do_not_run_but_their_children_are_found_through_them() -> None:
    zombie = ProcessEntry(101, 100, 1, 1010, dead=True)
    assert pids(Lineage(ROOT).select(snapshot(ROOT, zombie, entry(102, 101)))) == {100, 102}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_selection_equals_the_transitive_closure_over_parents(parents: list[int]) -> None:
    entries = [entry(1000 + index, 1000 + parent) for index, parent in enumerate(parents)]
    expected = {1000}
    while True:
        more = expected | {each.pid for each in entries if each.parent in expected}
        if more == expected:
            break
        expected = more
    assert pids(Lineage(entries[0]).select(snapshot(*entries))) == expected


# Real processes from here on.


@asynccontextmanager
async def running(script: str, *, ready: int = 1) -> AsyncIterator[tuple[trio.Process, ProcessTree]]:
    """A Python program with a tree; it is ready once `ready` lines were printed by it and its children."""
    marker = marker_environment()
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            lambda task_status: trio.run_process(
                [sys.executable, "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**marker, "PATH": "/usr/bin:/bin"},
                start_new_session=True,
                check=False,
                task_status=task_status,
            )
        )
        tree = ProcessTree(process.pid, marker)
        assert process.stdout is not None
        received = b""
        with trio.fail_after(HANG_GUARD):
            while received.count(b"\n") < ready:
                received += await process.stdout.receive_some()
        yield process, tree
        with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_GUARD):
            await end_tree(tree, deadlines=Deadlines())


SLEEPER = "import sys, time; print('up', flush=True); time.sleep(1000)"
OBSTINATE = "import signal, time; signal.signal(15, 1); print('up', flush=True); time.sleep(1000)"
READS_STDIN = "import sys; print('up', flush=True); sys.stdin.read()"
# A shell with a background child in a session of its own, and a daemon that was forked twice.
FAMILY = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('daemon', flush=True); time.sleep(1000)
    os._exit(0)
os.wait()
print('root', flush=True)
sys.stdin.read()
"""


async def test_a_program_that_ends_when_asked_is_not_signalled() -> None:
    with trio.fail_after(HANG_GUARD):
        async with running(READS_STDIN) as (process, tree):
            assert process.stdin is not None
            assert await end_tree(tree, deadlines=Deadlines(ask=30), ask=process.stdin.aclose) == TreeEnd(
                EndedBy.ASKING
            )
            assert await process.wait() == 0


async def test_children_in_other_sessions_and_double_forked_daemons_are_ended_too() -> None:
    with trio.fail_after(HANG_GUARD):
        async with running(FAMILY, ready=3) as (process, tree):
            assert len(tree.members()) == 3
            assert process.stdin is not None
            # The root leaves when asked; the two that it left behind need TERM.
            assert await end_tree(tree, deadlines=Deadlines(ask=30), ask=process.stdin.aclose) == TreeEnd(
                EndedBy.TERM
            )
            assert tree.members() == []


async def test_what_a_killed_program_leaves_behind_is_found_and_ended() -> None:
    with trio.fail_after(HANG_GUARD):
        async with running(FAMILY, ready=3) as (process, tree):
            process.kill()
            await process.wait()
            assert len(tree.members()) == 2
            assert await end_tree(tree, deadlines=Deadlines()) == TreeEnd(EndedBy.TERM)
            assert tree.members() == []


async def test_a_program_that_ignores_asking_and_term_is_killed() -> None:
    with trio.fail_after(HANG_GUARD):
        async with running(OBSTINATE) as (process, tree):

            async def ask() -> None:
                raise trio.BrokenResourceError

            end = await end_tree(tree, deadlines=Deadlines(0.01, 0.01, 30), ask=ask)
            assert end == TreeEnd(EndedBy.KILL)
            assert await process.wait() == -signal.SIGKILL


async def test_cancelling_the_end_kills_at_once_and_stays_a_cancellation() -> None:
    with trio.fail_after(HANG_GUARD):
        async with running(OBSTINATE) as (process, tree):
            with trio.CancelScope() as scope:
                scope.cancel()
                await end_tree(tree, deadlines=Deadlines(term=1000, kill=30))
            assert scope.cancelled_caught
            assert tree.members() == []
            assert await process.wait() == -signal.SIGKILL


async def test_a_stopped_program_is_terminated() -> None:
    with trio.fail_after(HANG_GUARD):
        async with running(SLEEPER) as (process, tree):
            process.send_signal(signal.SIGSTOP)
            assert await end_tree(tree, deadlines=Deadlines(term=30)) == TreeEnd(EndedBy.TERM)


async def test_ending_what_has_ended_does_nothing() -> None:
    with trio.fail_after(HANG_GUARD):
        async with running(SLEEPER) as (process, tree):
            process.kill()
            await process.wait()
            assert await end_tree(tree, deadlines=Deadlines()) == TreeEnd(EndedBy.ITSELF)


def test_there_is_no_tree_without_a_process() -> None:
    with pytest.raises(ProcessLookupError):
        ProcessTree(2**22 + 1)


async def test_what_is_started_between_the_look_and_the_signal_is_terminated_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); {SLEEPER}"
    with trio.fail_after(HANG_GUARD):
        async with running(script, ready=2) as (process, tree):
            look, looks = tree.members, 0

            def members() -> list[ProcessEntry]:
                nonlocal looks
                looks += 1
                return [entry for entry in look() if looks > 2 or entry.pid == process.pid]

            monkeypatch.setattr(tree, "members", members)
            assert await end_tree(tree, deadlines=Deadlines(term=HANG_GUARD)) == TreeEnd(EndedBy.TERM)
            assert look() == []
