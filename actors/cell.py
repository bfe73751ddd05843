"""One actor's life: what runs, stops, interrupts and ends it. Users hold it through `Ref` and `Me`.

A cell is more than one run of its function: it keeps the mailbox, the asks and the watchers while a
supervisor restarts the function. It never decides about restarts, it only does what its supervisor says.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import trio

from actors.asks import Asks
from actors.current import Running, current
from actors.errors import ActorFailed, ActorStopped, EndOfMailbox, Interrupted, MessageDropped
from actors.exits import DeadLetter, Exit, ExitKind
from actors.hooks import Hooks
from actors.intensity import Intensity, Restart, RestartHistory
from actors.lifecycle import State, Step, advance
from actors.mailbox import NOTHING, Mailbox, Overflow
from actors.statistics import Statistics

M = TypeVar("M")


class Runnable(Protocol):
    """What a cell runs: a `Spec`."""

    def run(self, me: Any, /) -> Awaitable[object]:
        """Call the actor's function with its own handle, for one run."""


class Handles(NamedTuple):
    """The classes of an actor's two handles. They are made from the cell, which therefore does not import them."""

    ref: Callable[[Cell[Any]], Any]
    me: Callable[[Cell[Any]], Any]


class Cell(Generic[M]):
    """The runtime's side of an actor."""

    __slots__ = (
        "_cancel_reason", "_deadline", "_interrupt_reason", "_interruptible", "_on_dead_letter", "_scope",
        "_stop_reason", "_waiters", "asking", "asks", "awaited", "dead_letters", "exit", "handles", "history",
        "hooks", "interrupts", "late_replies", "mailbox", "name", "on_end", "policy", "ready_value", "ref", "restarts",
        "spec", "started", "state", "stop_timeout", "task", "unhandled", "watchers", "watching",
    )  # fmt: skip

    def __init__(
        self,
        spec: Runnable,
        name: str,
        handles: Handles,
        *,
        capacity: int,
        overflow: Overflow,
        policy: Restart,
        awaited: bool,
        intensity: Intensity | None,
        stop_timeout: float,
        hooks: Hooks | None,
        on_dead_letter: Callable[[DeadLetter], None] | None,
    ) -> None:
        self.spec = spec
        self.name = name
        self.policy = policy
        self.history = None if intensity is None else RestartHistory(intensity)
        self.stop_timeout = stop_timeout
        self.hooks = hooks
        self._on_dead_letter = on_dead_letter
        self.mailbox: Mailbox[M] = Mailbox(name, capacity, overflow, self, hooks)
        self.handles = handles
        self.ref = handles.ref(self)
        self.state = State.STARTING
        self.started = False  # it was ready at least once
        self.awaited = awaited  # somebody waits for that
        self.ready_value: Any = None
        self.task: trio.lowlevel.Task | None = None
        self.asks = Asks()
        self.asking: Running | None = None  # whose reply its handler waits for
        self.watchers: dict[Cell[Any], Callable[[Exit], Any]] = {}
        self.watching: dict[Cell[Any], None] = {}  # empty, it is no object for the garbage collector
        self.exit: Exit | None = None
        self.on_end: Callable[[Exit], None] | None = None  # for a nested supervisor
        self.restarts = self.interrupts = self.late_replies = self.dead_letters = self.unhandled = 0
        self._waiters: dict[trio.lowlevel.Task, None] = {}  # a parking lot, without the cost of making one
        self._scope: trio.CancelScope | None = None
        # What an interrupt cancels: `_scope`, or that of `Me.serve`.
        self._interruptible: trio.CancelScope | None = None
        self._interrupt_reason: tuple[str | None] | None = None
        self._cancel_reason: str | None = None
        self._stop_reason: str | None = None
        self._deadline = float("inf")

    # -- states

    @property
    def has_starter(self) -> bool:
        """Whether somebody waits for it to become ready, and is told if it does not."""
        return self.awaited and not self.started

    def _move(self, step: Step, exit: Exit | None = None) -> None:
        before, self.state = self.state, advance(self.state, step)
        if self.hooks is not None and before is not self.state:
            self.hooks.moved(self.name, before, self.state, exit)
        if self._waiters:
            self.nudge()

    def at(self, *states: State) -> bool:
        """Whether it is in one of these states, at this moment (a call, because a state does not stay)."""
        return self.state in states

    async def changed(self) -> None:
        """Wait for the next step of its life. Look at `state` before and after: it is no counter."""
        task = trio.lowlevel.current_task()
        self._waiters[task] = None

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiters[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def nudge(self) -> None:
        """Let those who wait for a change look again: something beside the state has changed."""
        for task in self._waiters:
            trio.lowlevel.reschedule(task)
        self._waiters.clear()

    async def wait(self) -> Exit:
        """Wait for its end."""
        while self.exit is None:
            await self.changed()
        return self.exit

    def ready(self, value: object = None) -> None:
        """It has set itself up: its starter may go on."""
        if not self.started:
            self.ready_value = value
        self.started = True
        if self.state is not State.RUNNING:  # it is when an interrupt made the function run again
            self._move(Step.READY)

    def receiving(self) -> None:
        """The mailbox says that it is read from: whoever receives is ready."""
        if self.state is State.STARTING:
            self.ready()

    def drained(self) -> None:
        """The mailbox says that it is done: what the function does from here on is cleanup.

        Cleanup is shielded from a cancellation from outside. The deadline of the stop still holds.
        """
        if self._scope is not None:
            self._scope.shield = True

    # -- one run of the function

    async def run(self) -> Exit:
        """Run the function once, and again after each interrupt, until it ends by itself.

        Returns:
            How it ended. It is not the end of the actor: `rest` or `end` must follow.

        Raises:
            BaseException: what is not an `Exception` (a cancellation from outside, `KeyboardInterrupt`)
                passes through; the actor has then ended.
        """
        self.task = trio.lowlevel.current_task()
        current.set(self)
        try:
            if self.restarts:
                self.mailbox.begin()
            while True:
                if self._cancel_reason is not None:
                    return self._exit(ExitKind.CANCELLED, self._cancel_reason)
                self._scope = self._interruptible = trio.CancelScope(deadline=self._deadline)
                with self._scope:
                    await self.spec.run(self.handles.me(self))
                if (exit := self._unwound(self._scope)) is not None:
                    return exit
                self.interrupted()
                self._unwatch_all()
                self.mailbox.begin()
        except Exception as failure:  # noqa: BLE001 - it is the supervisor's to judge
            if self.state in (State.STOPPING, State.PAUSING) and _is_end_of_mailbox(failure):
                return self._exit(*self._returned())
            return self._exit(ExitKind.FAILED, self._cancel_reason or self._stop_reason, failure)
        except BaseException as failure:
            self.end(self._torn(failure))
            raise
        finally:
            self._scope = self._interruptible = None

    def _unwound(self, scope: trio.CancelScope) -> Exit | None:
        """How a run ended that did not raise; `None` if an interrupt ended it."""
        if self._cancel_reason is not None:
            return self._exit(ExitKind.CANCELLED, self._cancel_reason)
        if not scope.cancelled_caught:
            return self._exit(*self._returned())
        if trio.current_time() >= self._deadline:
            return self._exit(ExitKind.CANCELLED, f"it did not stop within {self.stop_timeout} s")
        return None

    def _returned(self) -> tuple[ExitKind, str | None]:
        if self.state in (State.STOPPING, State.PAUSING):
            return ExitKind.STOPPED, self._stop_reason
        return ExitKind.FINISHED, None

    def _exit(self, kind: ExitKind, reason: str | None = None, cause: BaseException | None = None) -> Exit:
        if kind in (ExitKind.FINISHED, ExitKind.STOPPED):
            self.mailbox.put_down()  # a function that returns has handled what it took
        return Exit(self.name, kind, reason, cause)

    def _torn(self, failure: BaseException) -> Exit:
        """How it ended when the world around it is coming down."""
        rest: BaseException | None = failure
        if isinstance(failure, BaseExceptionGroup):
            rest = failure.split(trio.Cancelled)[1]
        if rest is None or isinstance(rest, trio.Cancelled):
            return self._exit(ExitKind.CANCELLED, self._cancel_reason or "the block around it was cancelled")
        return self._exit(ExitKind.FAILED, self._cancel_reason, rest)

    def rest(self, exit: Exit) -> None:
        """A run is over, another may follow: settle what the run had in hand; the mailbox stays."""
        letters = self._letters(self.mailbox.messages_in_hand(), f"its handler {exit.describe()}")
        waiting = self.mailbox.messages() + self.mailbox.messages_waiting()
        self.asks.fail_those_not_in(waiting, lambda: self._why_no_reply(exit))
        self._unwatch_all()
        self.task = None
        self._deadline = float("inf")
        self._move(Step.REST, exit)
        self.mailbox.put_down()
        self._bury(letters)

    def restart(self) -> None:
        """Another run is about to follow."""
        self.restarts += 1
        self.mailbox.ending = False
        self._stop_reason = None
        self._move(Step.RESTART)

    def exit_at_rest(self) -> Exit:
        """How it ended if it was stopped or cancelled while it rested."""
        if self._cancel_reason is not None:
            return Exit(self.name, ExitKind.CANCELLED, self._cancel_reason)
        return Exit(self.name, ExitKind.STOPPED, self._stop_reason)

    def end(self, exit: Exit) -> None:
        """It is over: hand back what is left, and tell everybody who waits."""
        if self.exit is not None:
            return
        letters: list[DeadLetter] = []
        if self.mailbox.in_hand is not NOTHING or self.mailbox.queue:
            letters += self._letters(self.mailbox.messages_in_hand(), f"its handler {exit.describe()}")
            left = self.mailbox.messages()
            self.unhandled = len(left)
            letters += self._letters(left, f"the actor {exit.kind.value} before it was handled")
            exit = dataclasses.replace(exit, dead_letters=tuple(letters))
        self.exit = exit
        self.mailbox.exit = exit
        self.mailbox.clear()
        self.asks.fail_all(lambda: self._why_no_reply(exit))
        self._unwatch_all()
        for watcher, make in self.watchers.items():
            watcher.watching.pop(self, None)
            watcher.mailbox.notify(self, functools.partial(make, exit))
        self.watchers.clear()
        self.task = None
        self._move(Step.END, exit)
        self.mailbox.put_down()
        if self.on_end is not None:
            self.on_end(exit)
        self._bury(letters)

    def _why_no_reply(self, exit: Exit) -> Exception:
        if exit.kind is ExitKind.FAILED and exit.cause is not None:
            error = ActorFailed(self.name, exit.cause)
            error.__cause__ = exit.cause
            return error
        return ActorStopped(self.name, exit)

    # -- dead letters

    def dropped(self, message: M, why: str) -> None:
        """The mailbox dropped a message."""
        self.asks.fail_those_in([message], lambda: MessageDropped(self.name, why))
        self._bury(self._letters([message], why))

    def _letters(self, messages: list[M], why: str) -> list[DeadLetter]:
        return [DeadLetter(message, self.name, why) for message in messages]

    def _bury(self, letters: list[DeadLetter]) -> None:
        self.dead_letters += len(letters)
        if self._on_dead_letter is not None:
            for letter in letters:
                self._on_dead_letter(letter)

    # -- commands

    def stop(self, reason: str | None, *, drain: bool) -> None:
        """Begin an ordered stop: see `Ref.stop`."""
        if self.state is State.ENDED:
            return
        if self._stop_reason is None:
            self._stop_reason = reason
        self.mailbox.close()
        if not drain:
            self._end_receiving()
        self._limit_time()
        self._move(Step.STOP)

    def pause(self, reason: str) -> None:
        """End the present run before its next message, to be run again. The intake stays open."""
        self._stop_reason = reason
        self._end_receiving()
        self._limit_time()
        self._move(Step.PAUSE)

    def _end_receiving(self) -> None:
        self.mailbox.ending = True
        self.mailbox.look_around()
        if self.mailbox.parked is not None:
            self.mailbox.wake()

    def _limit_time(self) -> None:
        self._deadline = min(self._deadline, trio.current_time() + self.stop_timeout)
        if self._scope is not None:
            self._scope.deadline = self._deadline

    def cancel(self, reason: str | None) -> None:
        """Cancel it: see `Ref.cancel`."""
        if self.state is State.ENDED or self._cancel_reason is not None:
            return
        self._cancel_reason = reason or "no reason given"
        if self._scope is not None:
            # First of all: an actor that is parked in its receive is woken by this, with the cancellation. Woken by
            # the mailbox, it would have to ask Trio for it, which takes two more turns of the loop.
            self.mailbox.cancelling = True
            self._scope.cancel(reason)
        self.mailbox.close()
        self._end_receiving()
        self._move(Step.CANCEL)

    def interrupt(self, reason: str | None) -> bool:
        """Cancel the handler that runs now, if one does: see `Ref.interrupt`."""
        if self.mailbox.in_hand is NOTHING or self._interruptible is None:
            return False
        if self._interrupt_reason is None:
            self.interrupts += 1
            self._interrupt_reason = (reason,)
            self.mailbox.cancelling = True
            self.mailbox.look_around()
            self._interruptible.cancel(reason)
            self._move(Step.INTERRUPT)
        return True

    def interrupted(self) -> None:
        """A handler was unwound by an interrupt: settle its message, and be ready for the next one."""
        reason = None if self._interrupt_reason is None else self._interrupt_reason[0]
        messages = self.mailbox.messages_in_hand()
        self.asks.fail_those_in(messages, lambda: Interrupted(self.name, reason))
        self.mailbox.put_down()
        self.mailbox.cancelling = False
        self._interrupt_reason = None
        self._bury(self._letters(messages, f"its handler was interrupted: {reason or 'no reason given'}"))

    def swap_interruptible(self, scope: trio.CancelScope) -> trio.CancelScope | None:
        """Make `scope` what an interrupt cancels. Returns what it was, to be put back."""
        before, self._interruptible = self._interruptible, scope
        return before

    # -- death watch

    def watch(self, other: Cell[Any], make: Callable[[Exit], M]) -> None:
        """Receive `make(exit)` in the system lane when `other` ends, at once if it has."""
        if other.exit is not None:
            self.mailbox.notify(other, functools.partial(make, other.exit))
            return
        other.watchers[self] = make
        self.watching[other] = None

    def unwatch(self, other: Cell[Any]) -> None:
        """Do not receive it, even if `other` has ended meanwhile."""
        other.watchers.pop(self, None)
        self.watching.pop(other, None)
        self.mailbox.forget(other)

    def _unwatch_all(self) -> None:
        for other in list(self.watching):
            self.unwatch(other)

    # -- looking at it

    def statistics(self) -> Statistics:
        """Count what can be counted about it, now."""
        box = self.mailbox
        return Statistics(
            state=self.state,
            capacity=box.capacity,
            queued=len(box.queue),
            urgent=len(box.notices),
            senders_waiting=len(box.senders),
            accepted=box.accepted,
            taken=box.accepted - len(box.queue) - box.dropped - self.unhandled,
            dropped=box.dropped,
            rejected=box.rejected,
            unhandled=self.unhandled,
            dead_letters=self.dead_letters,
            restarts=self.restarts,
            interrupts=self.interrupts,
            asks_open=len(self.asks),
            late_replies=self.late_replies,
            timers=len(box.timers or ()),
            watchers=len(self.watchers),
        )

    def __repr__(self) -> str:
        box = self.mailbox
        return f"<actor {self.name!r} {self.state.value} {len(box.queue)}/{box.capacity}>"


def _is_end_of_mailbox(failure: Exception) -> bool:
    """Whether an actor was ended by its last `receive`, be it from within a nursery of its own."""
    if isinstance(failure, ExceptionGroup):
        return failure.split(EndOfMailbox)[1] is None
    return isinstance(failure, EndOfMailbox)
