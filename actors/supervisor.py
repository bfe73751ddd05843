"""What users hold of a supervisor: start actors, nest supervisors, leave the block. The engine is `actors.family`.

A nested supervisor is an actor whose function opens a family's block. Its parent sees a child like any other; when it
is restarted, its own children are run again with their mailboxes and their `Ref`s.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn, TypeVar

import trio

from actors.cell import Cell, Handles
from actors.errors import StartFailed
from actors.exits import DeadLetter, Exit, ExitKind
from actors.family import Family
from actors.hooks import Hooks
from actors.intensity import Intensity, Restart, Strategy
from actors.mailbox import Overflow
from actors.me import Me
from actors.ref import Ref
from actors.spec import Spec, actor
from actors.traced import TracedMe, TracedRef

M = TypeVar("M")

DEFAULT_CAPACITY = 64
"""Messages in a mailbox, unless told otherwise."""

PLAIN = Handles(Ref, Me)
TRACED = Handles(TracedRef, TracedMe)

DEFAULT_INTENSITY = Intensity()
"""Two restarts in five seconds, at once."""


class Supervisor:
    """Start actors in it. Made by `open_supervisor` and `start_supervisor`, whose documentation has the rules."""

    def __init__(
        self,
        family: Family,
        *,
        stop_timeout: float,
        on_failure: Callable[[Ref[Any], Exit], None] | None,
        on_dead_letter: Callable[[DeadLetter], None] | None,
        hooks: Hooks | None,
    ) -> None:
        self._family = family
        self._stop_timeout = stop_timeout
        self._on_failure = on_failure
        self._on_dead_letter = on_dead_letter
        self._hooks = hooks
        self._numbers = 0

    @property
    def name(self) -> str:
        """Its name, for errors, logs and the tree."""
        return self._family.name

    async def start(
        self,
        spec: Spec[M],
        *,
        name: str | None = None,
        capacity: int = DEFAULT_CAPACITY,
        overflow: Overflow = Overflow.BLOCK,
        restart: Restart = Restart.TEMPORARY,
        intensity: Intensity | None = None,
        stop_timeout: float | None = None,
    ) -> Ref[M]:
        """Start an actor and wait until it is ready: until its first receive, `Me.ready`, or its regular end.

        Cancelling this call cancels the actor and waits for its end.

        Args:
            spec: What to run, made by `actors.actor`.
            name: Unique among the living children; made from the function's name by default.
            capacity: How many user messages its mailbox holds.
            overflow: What happens to one more.
            restart: When it is restarted. A `TEMPORARY` child's failure is reported (`on_failure`, its
                watchers, or the log), and nothing else happens.
            intensity: How many restarts of this child are allowed, and after which failures, counted for it alone;
                by default it shares the supervisor's.
            stop_timeout: Seconds that an ordered stop may take; the supervisor's by default.

        Raises:
            StartFailed: it failed, was stopped or was cancelled before it was ready. It is not restarted.
            NameTaken: a child of that name is alive.
            SupervisorClosed: the supervisor's block is not open, or is being left.
        """
        cell = self._add(spec, name, capacity, overflow, restart, intensity, stop_timeout, awaited=True)
        try:
            while not cell.started and cell.exit is None:
                await cell.changed()
        except trio.Cancelled:
            cell.cancel("its start was cancelled")
            with trio.CancelScope(shield=True, deadline=trio.current_time() + cell.stop_timeout):
                if (await cell.wait()).cause is None:
                    raise
        if not cell.started and cell.exit is not None and cell.exit.kind is not ExitKind.FINISHED:
            raise StartFailed(cell.name, cell.exit) from cell.exit.cause
        ref: Ref[M] = cell.ref
        return ref

    def start_soon(
        self,
        spec: Spec[M],
        *,
        name: str | None = None,
        capacity: int = DEFAULT_CAPACITY,
        overflow: Overflow = Overflow.BLOCK,
        restart: Restart = Restart.TEMPORARY,
        intensity: Intensity | None = None,
        stop_timeout: float | None = None,
    ) -> Ref[M]:
        """Start an actor and return at once: for one whose readiness nobody has to wait for.

        It may be told things at once; they wait until it receives. Two turns of the loop are saved for each actor.
        There is nobody who could be told of a failed start: whatever it raises, be it before its first receive, is a
        failure like any other, after which it is restarted or not.

        Arguments and errors are those of `start`, but for `StartFailed`.
        """
        cell: Cell[M] = self._add(
            spec, name, capacity, overflow, restart, intensity, stop_timeout, awaited=False
        )
        ref: Ref[M] = cell.ref
        return ref

    def _add(
        self,
        spec: Spec[M],
        name: str | None,
        capacity: int,
        overflow: Overflow,
        restart: Restart,
        intensity: Intensity | None,
        stop_timeout: float | None,
        *,
        awaited: bool,
    ) -> Cell[M]:
        if name is None:
            self._numbers += 1
            name = f"{spec.name}-{self._numbers}"
        cell: Cell[M] = Cell(
            spec,
            name,
            PLAIN if self._hooks is None else TRACED,
            capacity=capacity,
            overflow=overflow,
            policy=restart,
            awaited=awaited,
            intensity=intensity,
            stop_timeout=self._stop_timeout if stop_timeout is None else stop_timeout,
            hooks=self._hooks,
            on_dead_letter=self._on_dead_letter,
        )
        self._family.add(cell)
        return cell

    async def start_supervisor(
        self,
        *,
        name: str,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = DEFAULT_INTENSITY,
        stop_timeout: float | None = None,
        restart: Restart = Restart.TRANSIENT,
        on_failure: Callable[[Ref[Any], Exit], None] | None = None,
    ) -> Supervisor:
        """Start a supervisor as a child of this one. It ends when this one's block is left, or with `stop`.

        When a child of it fails past its intensity, it fails itself, with `Escalated`; this supervisor then
        restarts it, which runs its children again, or escalates in turn. Hooks and dead letters go where this
        one's go. Arguments and errors are those of `open_supervisor` and `start`.
        """
        on_failure = on_failure or self._on_failure
        nested = Supervisor(
            Family(name, strategy, intensity, on_failure),
            stop_timeout=self._stop_timeout if stop_timeout is None else stop_timeout,
            on_failure=on_failure,
            on_dead_letter=self._on_dead_letter,
            hooks=self._hooks,
        )
        await self.start(
            actor(_supervise, nested._family), name=name, restart=restart, stop_timeout=float("inf")
        )
        return nested

    @property
    def ref(self) -> Ref[NoReturn] | None:
        """A nested supervisor's handle, to stop, watch or wait for it; `None` for an outermost one."""
        cell = self._family.cell
        return None if cell is None else cell.ref

    @property
    def children(self) -> tuple[Ref[Any], ...]:
        """The living children in start order."""
        return tuple(cell.ref for cell in self._family.children.values())

    def __repr__(self) -> str:
        family = self._family
        return f"<Supervisor {self.name!r} {family.state}, {family.strategy.value}, {len(family.children)} children>"


async def _supervise(me: Me[NoReturn], family: Family) -> None:
    """The function of the actor that a nested supervisor is."""
    me._cell.on_end = family.abandon
    async with family.open(None, me._cell):
        me.ready()
        await me.wait_stopping()


def open_supervisor(
    *,
    name: str = "supervisor",
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    intensity: Intensity = DEFAULT_INTENSITY,
    stop_timeout: float = 5.0,
    on_failure: Callable[[Ref[Any], Exit], None] | None = None,
    on_dead_letter: Callable[[DeadLetter], None] | None = None,
    hooks: Hooks | None = None,
) -> AbstractAsyncContextManager[Supervisor]:
    """Own actors for the length of an `async with` block.

    Leaving the block stops them in reverse start order. Leaving it with an exception does too, but their
    mailboxes are not drained; a cancellation from outside cancels them at once.

    Args:
        name: For errors, logs and the tree.
        strategy: Who is restarted when a child fails.
        intensity: How many restarts are allowed in how many seconds, and how long to wait before each.
        stop_timeout: Seconds that each child's ordered stop may take before it is cancelled.
        on_failure: Called with each failure of a child that was ready. Must not block or raise.
        on_dead_letter: Called with each message that was accepted and not handled. Must not block or raise.
        hooks: For tracing, see `actors.hooks`.

    Raises:
        Escalated: a child failed more often than the intensity allows (then the block is cancelled), or a
        child that
            is not `TEMPORARY` failed while it was stopped.
    """
    family = Family(name, strategy, intensity, on_failure)
    supervisor = Supervisor(
        family, stop_timeout=stop_timeout, on_failure=on_failure, on_dead_letter=on_dead_letter, hooks=hooks
    )
    return family.open(supervisor)
