"""The engine of a supervisor: its nursery, its children's lives, and the handling of their failures.

Each child has one task in the nursery, which runs the child's function repeatedly until it must not be restarted. (A
child of `actors.inline_cell` has a task only while it rests.) Under `one_for_one` that task also does the restarts. If
siblings must be restarted, too, one more task does that, the round: it pauses all of them in reverse start order and
runs them again in start order, one after another. A failure meanwhile begins the next turn of the round.

When the block is left, children of `one_for_one` do not depend on each other: they are stopped all at once, with one
common deadline. Those of the other strategies are stopped one after another, the last one first. No child is
restarted any more.

A family can be opened again after it was closed with its children at rest: that is how a nested supervisor restarts.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from threading import get_ident
from typing import Any, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from actors.ask_deadlines import FOREVER, AskDeadlines
from actors.cell import Cell
from actors.errors import ActorStopped, Escalated, NameTaken, SupervisorClosed
from actors.exits import Exit, ExitKind
from actors.inline_cell import InlineCell
from actors.intensity import Intensity, Restart, RestartHistory, Strategy
from actors.lifecycle import State
from actors.ref import Ref
from actors.task_cell import TaskCell
from actors.task_tree import supervised

T = TypeVar("T")

logger = logging.getLogger("actors")


class Family:
    """The children of one supervisor, in start order, and their nursery."""

    def __init__(
        self,
        name: str,
        strategy: Strategy,
        intensity: Intensity,
        on_failure: Callable[[Ref[Any], Exit], None] | None,
        stop_in_order: bool | None = None,
    ) -> None:
        self.name = name
        self.strategy = strategy
        self.intensity = intensity
        self._in_order = strategy is not Strategy.ONE_FOR_ONE if stop_in_order is None else stop_in_order
        self.children: dict[str, TaskCell[Any] | InlineCell[Any]] = {}
        self.cell: Cell[Any] | None = None  # the supervisor's own, if it is nested
        self.thread = get_ident()
        self.ask_deadlines: AskDeadlines  # from `open` on
        self._on_failure = on_failure
        self._nursery: trio.Nursery | None = None
        self._block: trio.CancelScope | None = None
        self._history = RestartHistory(intensity)
        self._closing = False
        self._keeping = False  # the block is left for a restart: children rest and do not end
        self._escalated: Escalated | None = None
        self._delay = 0.0  # the backoff of the next round
        self._round: trio.CancelScope | None = None

    @property
    def state(self) -> str:
        """`closed`, `open` or `closing`."""
        return "closed" if self._nursery is None else "closing" if self._closing else "open"

    @property
    def is_leaving(self) -> bool:
        """Whether its block, or that of a supervisor above it, is being left for good."""
        return (self._closing and not self._keeping) or (self.cell is not None and self.cell.is_leaving)

    def add(self, child: TaskCell[Any] | InlineCell[Any]) -> None:
        """Begin the life of a child. Raises `SupervisorClosed` or `NameTaken`."""
        if self._nursery is None:
            raise SupervisorClosed(self.name, "is not open: start actors inside of its `async with` block")
        if self._closing:
            raise SupervisorClosed(self.name, "is being left: it starts no more actors")
        name = child.name
        if name in self.children:
            raise NameTaken(
                f"supervisor {self.name!r} has a living child {name!r}; stop it first, or choose a name"
            )
        self.children[name] = child
        if isinstance(child, TaskCell):
            self._nursery.start_soon(self._live, child, name=f"actor {name}")
        elif (exit := child.begin()) is not None:
            self.run_is_over(child, exit)

    # -- the block

    @asynccontextmanager
    @enable_ki_protection
    async def open(self, handle: T, cell: Cell[Any] | None = None) -> AsyncGenerator[T]:
        """Own the children while a block runs; yields `handle`.

        `cell` is this supervisor's own, if it is nested.

        This is the only place in which the runtime opens a nursery, and in which a group from one is
        unwrapped.
        """
        self.cell, self.thread = cell, get_ident()
        self._history = RestartHistory(self.intensity)
        for child in self.children.values():
            child.history = child.history and RestartHistory(child.history.intensity)
        self._escalated = None
        self._closing = self._keeping = False
        self._delay, self._round = 0.0, None
        error: Exception | None = None
        torn: BaseException | None = None
        try:
            async with trio.open_nursery() as self._nursery:
                supervised[self._nursery] = self.children
                self.ask_deadlines = (
                    AskDeadlines(self._nursery, self.name) if cell is None else cell.family.ask_deadlines
                )
                try:
                    with trio.CancelScope() as self._block:
                        await self._run_again()
                        yield handle
                except Exception as failure:  # noqa: BLE001 - raised below, when the children have stopped
                    error = failure
                await self._close(error)
                if cell is None:
                    self.ask_deadlines.end()
        except BaseExceptionGroup as group:
            torn = group.exceptions[0] if len(group.exceptions) == 1 else group
        except trio.Cancelled as cancelled:
            torn = cancelled
        finally:
            self._nursery = self._block = None
            if cell is None:
                self.ask_deadlines.end()
            self._end_those_without_a_task()
        first = self._first(torn, error)
        if first is not None:
            raise first

    def _first(self, torn: BaseException | None, error: Exception | None) -> BaseException | None:
        """The exception that leaves the block: one from outside, otherwise the first failure; the others are notes."""
        escalated = self._escalated
        if torn is not None and not isinstance(torn, trio.Cancelled):
            for other in (error, escalated):
                if other is not None:
                    torn.add_note(f"and before that: {other!r}")
            return torn
        if escalated is None:
            return error or torn
        if error is None or error in escalated.others:
            return escalated
        error.add_note(f"while its actors were stopped: {escalated!r}")
        return error

    async def _close(self, error: Exception | None) -> None:
        """Stop the children, or let them rest, if this supervisor will be run again."""
        self._closing = True
        drain = error is None and self._escalated is None
        if error is not None and self._escalated is not None:
            self._escalated.keep(error, "the block was cancelled, and raised")
        if self.cell is not None and self.cell.at(State.PAUSING):
            self._keeping = True
        if self._round is not None:
            self._round.cancel("the supervisor is being left")
        children = list(reversed(self.children.values()))
        for child in children:
            if isinstance(child, InlineCell):
                child.slow_down()
        for child in children:
            if self._keeps(child):
                self._begin_pause(child, f"supervisor {self.name!r} is run again")
            else:
                child.stop(f"supervisor {self.name!r} is being left", drain=drain)
            if self._in_order:
                await self._over(child)
        for child in children:
            await self._over(child)

    def _keeps(self, child: Cell[Any]) -> bool:
        return self._keeping and child.policy is not Restart.TEMPORARY

    async def _over(self, child: Cell[Any]) -> None:
        while not child.at(State.ENDED) and not (self._keeps(child) and child.at(State.RESTING)):
            await child.changed()

    def _begin_pause(self, child: Cell[Any], why: str) -> None:
        if child.at(State.STARTING, State.RUNNING):
            child.pause(why)
        child.nudge()

    async def _pause_and_wait(self, child: Cell[Any], why: str) -> None:
        self._begin_pause(child, why)
        while not child.at(State.RESTING, State.ENDED):
            await child.changed()

    async def _run_again(self) -> None:
        """Run the children that the last run of this supervisor paused, in start order."""
        assert self._nursery is not None
        children = list(self.children.values())
        for child in children:
            if isinstance(child, TaskCell):
                self._nursery.start_soon(self._live, child, True, name=f"actor {child.name}")
            else:
                self._nursery.start_soon(self._restart_inline, child, FOREVER, name=f"actor {child.name}")
        for child in children:
            if child.at(State.RESTING):
                child.restart()
                await self._ready(child)

    async def _ready(self, child: Cell[Any]) -> None:
        """Wait until a restarted child is ready, within its start deadline. Do not wait for one that never was."""
        while child.at(State.STARTING) and child.started:
            await child.changed()

    def abandon(self, exit: Exit) -> None:
        """End the children that rest: this (nested) supervisor does not run again. Called by its own cell."""
        for child in reversed(list(self.children.values())):
            child.end(Exit(child.name, ExitKind.STOPPED, f"supervisor {self.name!r} has {exit.describe()}"))
        self.children.clear()

    # -- the lives of children

    @enable_ki_protection
    async def _live(self, cell: TaskCell[Any], rests: bool = False) -> None:
        """Run one child until it must not run again. A child has this one task.

        A child that `rests` from the start waits for `_run_again`, unless it was stopped meanwhile.
        """
        delay = FOREVER
        try:
            while True:
                if rests and not await self._resume(cell, delay):
                    return
                exit = await cell.run()
                verdict = self._judge(cell, exit)
                if verdict is None:
                    cell.end(exit)
                    return
                rests, delay = True, verdict
                del exit  # it holds the frames of the run that failed
        except BaseException as failure:
            cell.end(Exit(cell.name, ExitKind.CANCELLED, f"the block around it was left by {failure!r}"))
            raise
        finally:
            if cell.exit is not None:
                self.children.pop(cell.name, None)

    @enable_ki_protection
    def run_is_over(self, cell: InlineCell[Any], exit: Exit) -> None:
        """Decide about a child without a task whose run has ended. While it rests, it has a task."""
        verdict = self._judge(cell, exit)
        if verdict is None or self._nursery is None:
            cell.end(exit)
            self.children.pop(cell.name, None)
        else:
            self._nursery.start_soon(self._restart_inline, cell, verdict, name=f"actor {cell.name}")

    @enable_ki_protection
    async def _restart_inline(self, cell: InlineCell[Any], delay: float) -> None:
        """Let a child without a task rest, and begin its next run."""
        try:
            if await self._resume(cell, delay) and (exit := cell.begin()) is not None:
                self.run_is_over(cell, exit)
        except BaseException as failure:
            cell.end(Exit(cell.name, ExitKind.CANCELLED, f"the block around it was left by {failure!r}"))
            raise
        finally:
            if cell.exit is not None:
                self.children.pop(cell.name, None)

    def _end_those_without_a_task(self) -> None:
        """At the end of the block, end the children without a task. The others have ended with their tasks."""
        for child in list(self.children.values()):
            if not child.has_task and not (self._keeping and child.at(State.RESTING)):
                child.end(Exit(child.name, ExitKind.CANCELLED, "the block around it was cancelled"))
                del self.children[child.name]

    async def _resume(self, cell: Cell[Any], delay: float) -> bool:
        """Let a child rest for `delay` seconds, or until a round or a command ends its rest.

        Returns:
            Whether to run it. If not, it has ended now, or it continues to rest because this supervisor ends.
        """
        if cell.context is not None:
            # Discard what the last run set, from the next step of this task on.
            trio.lowlevel.current_task().context = cell.context.copy()
        if not delay:
            # Let a stop or a cancel run first, without the cost of a deadline.
            await trio.lowlevel.checkpoint()
        else:
            with trio.CancelScope(deadline=trio.current_time() + delay):
                while cell.at(State.RESTING) and not self._keeping:
                    await cell.changed()
        if cell.at(State.RESTING):
            if self._keeping:
                return False
            cell.restart()
        if not cell.at(State.STARTING):
            cell.end(cell.exit_at_rest())
            return False
        return True

    @enable_ki_protection
    def _judge(self, cell: Cell[Any], exit: Exit) -> float | None:
        """Decide about a child whose run has ended.

        Returns:
            `None` if it ends; else it rests now, for that many seconds, or until a round restarts it
            (infinity).
        """
        failed = exit.kind is ExitKind.FAILED
        if failed and cell.has_starter:
            return None  # `start` raises it
        if failed and self._on_failure is not None:
            self._on_failure(cell.ref, exit)
        if cell.at(State.STOPPING) or (self.is_leaving and not cell.at(State.PAUSING)):
            if failed and cell.policy is not Restart.TEMPORARY:
                self._escalate(cell, exit, "failed while it was stopped")
            elif failed:
                self._log(cell, exit)
            return None
        if cell.at(State.PAUSING) or self._keeping:
            if failed:
                self._log(cell, exit)
            if cell.policy is Restart.TEMPORARY or cell.has_starter:
                return None
            cell.rest(exit)
            return FOREVER
        if not cell.policy.after(exit.kind):
            if failed:
                self._log(cell, exit)
            return None
        history = cell.history or self._history
        delay = history.record(trio.current_time(), exit.cause)
        if delay is None:
            limit, count = history.intensity, history.count
            again = f" again, after {count} restarts within {limit.seconds} s" if count else ""
            if not self._escalate(cell, exit, f"{exit.kind.value}{again}"):
                return None
            cell.rest(exit)
            return FOREVER
        if failed:
            self._log(cell, exit)
        cell.rest(exit)
        if self.strategy is Strategy.ONE_FOR_ONE:
            return delay
        self._begin_round(delay)
        return FOREVER

    def _log(self, cell: Cell[Any], exit: Exit) -> None:
        """Log a failure that is neither reported elsewhere nor escalates."""
        if self._on_failure is None and not cell.watchers:
            logger.error("actor %r of supervisor %r failed", cell.name, self.name, exc_info=exit.cause)

    def _escalate(self, cell: Cell[Any], exit: Exit, detail: str) -> bool:
        """Give up because of a child. Returns whether children rest, as this supervisor may run again."""
        cause = exit.cause if exit.cause is not None else ActorStopped(cell.name, exit)
        if self._escalated is not None:
            self._escalated.keep(cause, f"actor {cell.name!r} {detail}")
            return self._keeping
        self._escalated = Escalated(cell.name, cause, detail)
        self._keeping = self.cell is not None and not self.cell.at(State.STOPPING) and not self._closing
        if self._block is not None:
            self._block.cancel(f"actor {cell.name!r} {detail}")
        return self._keeping

    # -- rounds

    def _begin_round(self, delay: float) -> None:
        self._delay = max(self._delay, delay)
        if self._round is None and self._nursery is not None:
            self._round = trio.CancelScope()
            self._nursery.start_soon(self._restart_together, self._round, name=f"restarts of {self.name}")

    async def _restart_together(self, scope: trio.CancelScope) -> None:
        """Restart the resting children, and those that must be restarted with them, until none rests."""
        with scope:
            while resting := self._at_rest():
                affected = self.strategy.affected(list(self.children.values()), resting[0])
                for cell in reversed(affected):
                    await self._pause_and_wait(cell, f"restarted because {resting[0].name!r} failed")
                delay, self._delay = self._delay, 0.0
                await trio.sleep(delay)
                for cell in affected:
                    if not cell.at(State.RESTING):
                        continue  # it was temporary, or was stopped meanwhile
                    cell.restart()
                    await self._ready(cell)
                    if cell.at(State.RESTING):
                        break  # it failed again, and that was accounted for: begin again
        self._round = None

    def _at_rest(self) -> list[Cell[Any]]:
        return [cell for cell in self.children.values() if cell.at(State.RESTING)]
