"""A program and all its descendants: which processes belong to it, and how they are ended.

Killing a coding agent's own process leaves its shells running. Those have process groups and sessions of their
own, so neither `kill(pid)` nor `killpg` is enough. Membership is therefore decided from snapshots of `/proc`
by a pure function, `Lineage.select`. Any one of four marks is enough:

1. it is the root itself;
2. its parent is a member (followed to any depth);
3. its session was opened by a member (a leader that has died still names its session);
4. its environment carries the tree's marker (`marker_environment`), which a child inherits and keeps when a
   double fork reparents it.

A process is identified by its pid *and* its start time, so that a pid which the kernel handed out again is
never mistaken for an old member; signals go through a pidfd for the same reason. What escapes: a process
that was orphaned, opened its own session and emptied its environment, all before any snapshot saw it.

Needs Linux 5.3 (pidfd). Members are waited for through their pidfds; nothing here polls.
"""

from __future__ import annotations

import enum
import errno
import os
import secrets
import signal
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import trio

from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.snapshot import (
    ProcessEntry,
    Snapshot,
    read_entry,
    read_marked,
    read_snapshot,
)

WAITED = 64
"""Processes that are waited for at once: each takes a descriptor."""

MARKER_VARIABLE = "OPTIO_PROCESS_TREE"
"""The environment variable that marks all processes of one tree."""


def marker_environment() -> dict[str, str]:
    """A fresh marker, to be added to the environment of a program that is about to be started."""
    return {MARKER_VARIABLE: secrets.token_hex(12)}


class Lineage:
    """Which processes belong to the tree under `root`, over any number of snapshots. Sans-IO.

    It remembers the members it has seen, because a parent's death erases the link to its children.
    """

    def __init__(self, root: ProcessEntry) -> None:
        self.root = root
        self._known: dict[int, int] = {}
        self._sessions: set[int] = set()
        self._remember(root)

    def select(self, snapshot: Snapshot, marked: Collection[int] = ()) -> list[ProcessEntry]:
        """The members that run in `snapshot`; `marked` are the pids that carry the tree's marker."""
        children: defaultdict[int, list[ProcessEntry]] = defaultdict(list)
        sessions: defaultdict[int, list[ProcessEntry]] = defaultdict(list)
        for entry in snapshot.values():
            children[entry.parent].append(entry)
            sessions[entry.session].append(entry)
        found: dict[int, ProcessEntry] = {}
        waiting = deque(
            entry
            for entry in snapshot.values()
            if self._known.get(entry.pid) == entry.started or entry.pid in marked
        )
        for session in self._sessions:
            leader = snapshot.get(session)
            if leader is None or self._known.get(session) == leader.started:
                waiting.extend(sessions[session])
        while waiting:
            entry = waiting.popleft()
            if entry.pid in found:
                continue
            found[entry.pid] = entry
            self._remember(entry)
            waiting.extend(children[entry.pid])
            if entry.session == entry.pid:
                waiting.extend(sessions[entry.pid])
        return [entry for entry in found.values() if not entry.dead]

    def _remember(self, entry: ProcessEntry) -> None:
        self._known[entry.pid] = entry.started
        if entry.session == entry.pid:
            self._sessions.add(entry.pid)


class EndedBy(enum.Enum):
    """The step that ended a tree. The earlier steps were tried before it."""

    ITSELF = "itself"
    ASKING = "asking"
    TERM = "term"
    KILL = "kill"
    NOTHING = "nothing"
    """Members are still alive (they are not ours to signal, or hang in the kernel)."""


@dataclass(frozen=True, slots=True)
class TreeEnd:
    """How a tree ended. `survivors` is empty unless `by` is `NOTHING`."""

    by: EndedBy
    survivors: tuple[ProcessEntry, ...] = ()


class ProcessTree:
    """The living tree under one program that we started.

    Make it right after the program was started (its status must not have been collected yet) and give the
    program's environment the `marker`. `adopted` gives further members: orphans that can only be the program's.

    Raises:
        ProcessLookupError: there is no process `pid`.
    """

    def __init__(
        self,
        pid: int,
        marker: Mapping[str, str] | None = None,
        adopted: Callable[[Snapshot], Iterable[ProcessEntry]] = lambda snapshot: (),
    ) -> None:
        self._adopted = adopted
        try:
            root = read_entry(pid)
        except FileNotFoundError:
            raise ProcessLookupError(f"no process {pid}") from None
        self._lineage = Lineage(root)
        self._marker = dict(marker or {})
        self._owner = os.getpid()

    def __repr__(self) -> str:
        root = self._lineage.root
        return f"<ProcessTree of {root.name} (pid {root.pid})>"

    @property
    def is_inherited(self) -> bool:
        """Whether this process was forked from the one that owns the tree: then nothing here may end it."""
        return self._owner != os.getpid()

    def members(self) -> list[ProcessEntry]:
        """The members that run now (zombies do not); none in a process that was forked from their owner."""
        if self.is_inherited:
            return []
        snapshot = read_snapshot()
        marked = read_marked(snapshot, self._marker) if self._marker else set()
        marked |= {entry.pid for entry in self._adopted(snapshot)}
        return self._lineage.select(snapshot, marked)

    def signal(self, signum: int) -> list[ProcessEntry]:
        """Send `signum` to every member, except those that we may not signal. Returns the members."""
        members = self.members()
        for entry in members:
            _send(entry, signum)
        return members

    async def terminate(self) -> None:
        """Send TERM to every member, those started before TERM arrives included; wait for all of them."""
        told: set[tuple[int, int]] = set()
        while members := self.members():
            for entry in members:
                if (entry.pid, entry.started) not in told:
                    told.add((entry.pid, entry.started))
                    _send(entry, signal.SIGTERM)
                    _send(entry, signal.SIGCONT)  # A stopped process sees TERM only when it runs again.
            await _wait_exits(members)

    async def wait_root(self) -> None:
        """Return once the root has exited (its status may still be uncollected)."""
        await _wait_exits([self._lineage.root])

    async def wait_gone(self) -> None:
        """Return once no member runs any more, those included that were started while we waited."""
        while members := self.members():
            await _wait_exits(members)


def _send(entry: ProcessEntry, signum: int) -> None:
    """Send a signal to exactly this process; one that is gone, or not ours to signal, is skipped."""
    with suppress(OSError), ExitStack() as stack:
        signal.pidfd_send_signal(_open_pidfd(entry, stack), signum)


def _open_pidfd(entry: ProcessEntry, stack: ExitStack) -> int:
    """A pidfd for exactly this process, closed by `stack`; ProcessLookupError when it is gone."""
    descriptor = os.pidfd_open(entry.pid)
    stack.callback(os.close, descriptor)
    try:
        same = read_entry(entry.pid).started == entry.started
    except (OSError, ValueError):
        same = False
    if not same:
        raise ProcessLookupError(entry.pid)
    return descriptor


async def _wait_exits(entries: Collection[ProcessEntry]) -> None:
    """Return once some of the processes have exited: as many as there are descriptors for, at most `WAITED`."""
    with ExitStack() as stack:
        descriptors = []
        for entry in entries:
            try:
                descriptors.append(_open_pidfd(entry, stack))
            except ProcessLookupError:
                continue
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                break
            if len(descriptors) == WAITED:
                break
        if entries and not descriptors:
            await trio.sleep(0.01)  # they are gone, or there is no descriptor left to wait with
        await trio.lowlevel.checkpoint()
        for descriptor in descriptors:
            await trio.lowlevel.wait_readable(descriptor)


async def end_tree(
    tree: ProcessTree, *, deadlines: Deadlines, ask: Callable[[], Awaitable[object]] | None = None
) -> TreeEnd:
    """End a program and every process that it started, in order: ask, then TERM, then KILL.

    `ask` asks the program to exit, for example by closing its stdin. Its root process then has `deadlines.ask` seconds
    to exit, and the processes that it leaves are terminated. Without `ask`, TERM comes first. This takes at most the
    sum of the deadlines, and only as long as there is something to wait for. An `ask` that raises `OSError` or a trio
    resource error counts as unsuccessful.

    Cancelling this kills what is left at once (shielded for at most `deadlines.kill`), then the cancellation
    continues. So no process survives in any case. In a process that was forked from the owner of the tree it does
    nothing.
    """
    if tree.is_inherited:
        return TreeEnd(EndedBy.ITSELF)
    try:
        if ask is not None:
            with trio.move_on_after(deadlines.ask):
                with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await ask()
                await tree.wait_root()
        if not tree.members():
            return TreeEnd(EndedBy.ITSELF if ask is None else EndedBy.ASKING)
        with trio.move_on_after(deadlines.term):
            await tree.terminate()
            return TreeEnd(EndedBy.TERM)
    finally:
        # After a return above no process is left, and this costs one read of /proc.
        survivors = await _kill(tree, deadlines.kill)
    return TreeEnd(EndedBy.NOTHING, survivors) if survivors else TreeEnd(EndedBy.KILL)


async def _kill(tree: ProcessTree, seconds: float) -> tuple[ProcessEntry, ...]:
    with trio.move_on_after(seconds, shield=True):
        while members := tree.signal(signal.SIGKILL):
            await _wait_exits(members)
    return tuple(tree.members())
