"""The interface of a supervisor: start actors, nest supervisors, leave the block. The engine is `actors.family`.

A nested supervisor is an actor whose function opens a family's block. Its parent sees a child like any other; when it
is restarted, its own children are run again with their mailboxes and their `Ref`s.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from typing import Any, NoReturn, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from actors.ask_deadlines import FOREVER
from actors.cell import Handles, Settings
from actors.errors import StartFailed
from actors.exits import DeadLetter, Exit, ExitKind
from actors.family import Family
from actors.hooks import Hooks
from actors.inline_cell import InlineCell
from actors.inline_handles import InlineMe, InlineRef
from actors.inline_spec import InlineSpec
from actors.intensity import Intensity, Restart, Strategy
from actors.mailbox import Overflow
from actors.me import Me
from actors.ref import Ref
from actors.spec import Spec, actor
from actors.task_cell import TaskCell
from actors.traced import TracedMe, TracedRef

M = TypeVar("M")

DEFAULT_CAPACITY = 64
"""Messages in a mailbox, unless told otherwise."""

PLAIN = Handles(Ref, Me)
TRACED = Handles(TracedRef, TracedMe)
INLINE = Handles(InlineRef, InlineMe)

DEFAULT_INTENSITY = Intensity()
"""Two restarts in five seconds, at once."""


class Supervisor:
    """Starts and owns actors. Made by `open_supervisor` and `start_supervisor`, whose docstrings have the rules."""

    def __init__(
        self,
        family: Family,
        *,
        stop_timeout: float,
        start_timeout: float,
        on_failure: Callable[[Ref[Any], Exit], None] | None,
        on_dead_letter: Callable[[DeadLetter], None] | None,
        hooks: Hooks | None,
    ) -> None:
        self._family = family
        self._stop_timeout = stop_timeout
        self._start_timeout = start_timeout
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
        spec: Spec[M] | InlineSpec[M],
        *,
        name: str | None = None,
        capacity: int = DEFAULT_CAPACITY,
        overflow: Overflow = Overflow.BLOCK,
        restart: Restart = Restart.TEMPORARY,
        intensity: Intensity | None = None,
        stop_timeout: float | None = None,
        start_timeout: float | None = None,
    ) -> Ref[M]:
        """Start an actor and wait until it is ready: until its first receive, `Me.ready`, or its regular end.

        Cancelling this call cancels the actor and waits for its end.

        Args:
            spec: What to run, made by `actors.actor` or, without a task, by `actors.inline`.
            name: Unique among the living children; made from the function's name by default.
            capacity: The number of user messages for which its mailbox has room.
            overflow: What happens to further messages.
            restart: When it is restarted. A `TEMPORARY` child's failure is reported (`on_failure`, its
                watchers, or the log), and nothing else happens.
            intensity: How many restarts of this child are allowed, and after which failures, counted for it alone;
                by default it shares the supervisor's.
            stop_timeout: Seconds that an ordered stop may take; the supervisor's by default.
            start_timeout: Seconds after which a restarted run that is not ready has failed; the supervisor's by
                default. (For the first start, put `trio.fail_after` around this call.)

        Raises:
            StartFailed: it failed, was stopped or was cancelled before it was ready. It is not restarted.
            NameTaken: a child of that name is alive.
            SupervisorClosed: the supervisor's block is not open, or is being left.
            TypeError: `spec` is a function without `actors.actor(...)` around it.
        """
        settings = self._settings(capacity, overflow, restart, intensity, stop_timeout, start_timeout)
        cell = self._add(spec, name, settings, awaited=True)
        try:
            while not cell.started and cell.exit is None:
                await cell.changed()
        except trio.Cancelled:
            cell.cancel("its start was cancelled")
            with trio.CancelScope(shield=True, deadline=trio.current_time() + cell.stop_timeout):
                await cell.wait()
            if cell.started or cell.exit is None or cell.exit.cause is None:
                raise
        if not cell.started and cell.exit is not None and cell.exit.kind is not ExitKind.FINISHED:
            raise StartFailed(cell.name, cell.exit) from cell.exit.cause
        ref: Ref[M] = cell.ref
        return ref

    def start_soon(
        self,
        spec: Spec[M] | InlineSpec[M],
        *,
        name: str | None = None,
        capacity: int = DEFAULT_CAPACITY,
        overflow: Overflow = Overflow.BLOCK,
        restart: Restart = Restart.TEMPORARY,
        intensity: Intensity | None = None,
        stop_timeout: float | None = None,
        start_timeout: float | None = None,
    ) -> Ref[M]:
        """Start an actor and return at once, if the caller need not wait until it is ready.

        Messages may be sent to it at once; they wait until it receives. This saves two turns of the loop for each
        actor. No caller waits for its start, so any exception, also before its first receive, is a failure like any
        other, after which it is restarted or not.

        Arguments and errors are those of `start`, except `StartFailed`.
        """
        settings = self._settings(capacity, overflow, restart, intensity, stop_timeout, start_timeout)
        ref: Ref[M] = self._add(spec, name, settings, awaited=False).ref
        return ref

    def _settings(
        self,
        capacity: int,
        overflow: Overflow,
        restart: Restart,
        intensity: Intensity | None,
        stop_timeout: float | None,
        start_timeout: float | None,
    ) -> Settings:
        return Settings(
            capacity,
            overflow,
            restart,
            intensity,
            self._stop_timeout if stop_timeout is None else stop_timeout,
            self._start_timeout if start_timeout is None else start_timeout,
            self._hooks,
            self._on_dead_letter,
        )

    def _add(
        self, spec: Spec[M] | InlineSpec[M], name: str | None, settings: Settings, *, awaited: bool
    ) -> TaskCell[M] | InlineCell[M]:
        cell: TaskCell[M] | InlineCell[M]
        if isinstance(spec, Spec):
            handles = PLAIN if self._hooks is None else TRACED
            name = self._free_name(spec.name) if name is None else name
            cell = TaskCell(spec, name, handles, settings, self._family, awaited=awaited)
        elif isinstance(spec, InlineSpec):
            name = self._free_name(spec.name) if name is None else name
            cell = InlineCell(spec, name, INLINE, settings, self._family, awaited=awaited)
        else:
            raise TypeError(f"start actors.actor(function, ...), not the function itself: {spec!r}")
        if settings.policy is not Restart.TEMPORARY:
            cell.context = copy_context()
        self._family.add(cell)
        return cell

    def _free_name(self, stem: str) -> str:
        while True:
            self._numbers += 1
            if (name := f"{stem}-{self._numbers}") not in self._family.children:
                return name

    async def start_supervisor(
        self,
        *,
        name: str,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = DEFAULT_INTENSITY,
        stop_timeout: float | None = None,
        start_timeout: float | None = None,
        stop_in_order: bool | None = None,
        restart: Restart = Restart.TRANSIENT,
        on_failure: Callable[[Ref[Any], Exit], None] | None = None,
    ) -> Supervisor:
        """Start a supervisor as a child of this one. It ends when this one's block is left, or with `stop`.

        When a child of it fails more often than its intensity allows, it fails with `Escalated`. This supervisor then
        restarts it, which runs its children again, or escalates, too. It has the hooks and the dead letter handler of
        this one. Arguments and errors are those of `open_supervisor` and `start`.
        """
        on_failure = on_failure or self._on_failure
        nested = Supervisor(
            Family(name, strategy, intensity, on_failure, stop_in_order),
            stop_timeout=self._stop_timeout if stop_timeout is None else stop_timeout,
            start_timeout=self._start_timeout if start_timeout is None else start_timeout,
            on_failure=on_failure,
            on_dead_letter=self._on_dead_letter,
            hooks=self._hooks,
        )
        spec = actor(_supervise, nested._family)
        await self.start(spec, name=name, restart=restart, stop_timeout=FOREVER, start_timeout=FOREVER)
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


@enable_ki_protection
async def _supervise(me: Me[NoReturn], family: Family) -> None:
    """The actor function of a nested supervisor."""
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
    start_timeout: float = 60.0,
    stop_in_order: bool | None = None,
    on_failure: Callable[[Ref[Any], Exit], None] | None = None,
    on_dead_letter: Callable[[DeadLetter], None] | None = None,
    hooks: Hooks | None = None,
) -> AbstractAsyncContextManager[Supervisor]:
    """Own actors while an `async with` block runs.

    Leaving the block stops them. Under `ONE_FOR_ONE`, whose children do not depend on each other, they stop all at
    once; under the other strategies in reverse start order, one after another. An exception in the block also stops
    them, but without draining their mailboxes. A cancellation from outside cancels them at once. While the block is
    being left, no child is restarted, and a message from one to another that has stopped is a dead letter.

    Args:
        name: For errors, logs and the tree.
        strategy: Which children are restarted when one fails, and whether they are stopped together or in order.
        intensity: How many restarts are allowed in how many seconds, and how long to wait before each.
        stop_timeout: Seconds that each child's ordered stop may take before it is cancelled.
        start_timeout: Seconds that a restarted child may take to become ready, if it was ready in an earlier run. One
            that takes longer has failed again, with `StartTimeout`.
        stop_in_order: Whether children are stopped one after another, the last one first, or all at once; by default it
            depends on the strategy.
        on_failure: Called with each failure of a child that was ready. Must not block or raise.
        on_dead_letter: Called with each message that was accepted and not handled. Must not block or raise.
        hooks: For tracing, see `actors.hooks`.

    Raises:
        Escalated: a child failed more often than the intensity allows (then the block is cancelled), or a child that
            is not `TEMPORARY` failed while it was stopped.
    """
    family = Family(name, strategy, intensity, on_failure, stop_in_order)
    supervisor = Supervisor(
        family,
        stop_timeout=stop_timeout,
        start_timeout=start_timeout,
        on_failure=on_failure,
        on_dead_letter=on_dead_letter,
        hooks=hooks,
    )
    return family.open(supervisor)
