"""The base of every actor, with or without a task: mailbox, state, asks, watchers, dead letters, and an end.

A cell outlives the runs of its function: it keeps the mailbox, the asks and the watchers while a supervisor restarts
the function. The supervisor decides about restarts; the cell carries them out.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import Context
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from actors.ask_deadlines import AskDeadlines
from actors.asks import Asks
from actors.current import Running, current_actor, cycle_of_tells
from actors.errors import (
    ActorFailed,
    ActorStopped,
    Interrupted,
    MessageDropped,
    SelfTell,
    TellCycle,
)
from actors.exits import DeadLetter, Exit, ExitKind
from actors.hooks import Hooks
from actors.intensity import Intensity, Restart, RestartHistory
from actors.lifecycle import State, Step, advance
from actors.mailbox import NOTHING, Mailbox, Overflow
from actors.statistics import Statistics

M = TypeVar("M")


class Recipe(Protocol):
    """What a cell runs: a `Spec`."""

    @property
    def name(self) -> str:
        """The function's name, from which the actor's is made by default."""

    def run(self, me: Any, /) -> Any:
        """Call the actor's function with its own handle, for one run."""


class Handles(NamedTuple):
    """The classes of an actor's two handles. Their modules import the cell, so the cell cannot import them."""

    ref: Callable[[Any], Any]
    me: Callable[[Any], Any]


class Leaving(Protocol):
    """The part of the supervisor's engine that a cell uses."""

    thread: int
    """The thread in which the actors run."""
    ask_deadlines: AskDeadlines
    """Those of all asks in this tree of supervisors."""

    @property
    def is_leaving(self) -> bool:
        """Whether the supervisor, or one above it, is being left."""


class Settings(NamedTuple):
    """The settings of an actor, except what to run."""

    capacity: int
    overflow: Overflow
    policy: Restart
    intensity: Intensity | None
    stop_timeout: float
    start_timeout: float
    hooks: Hooks | None
    on_dead_letter: Callable[[DeadLetter], None] | None


class Cell(ABC, Generic[M]):
    """The runtime's side of an actor. Users hold it through `Ref` and `Me`."""

    has_task = True

    __slots__ = (
        "__weakref__", "_cancel_reason", "_on_dead_letter", "_ref", "_stop_reason", "_waiters", "asking", "asks",
        "awaited", "context", "dead_letters", "exit", "family", "handles", "history", "hooks", "interrupts",
        "late_replies", "mailbox", "name", "on_end", "policy", "ready_value", "restarts", "spec",
        "start_timeout", "started", "state", "stop_timeout", "task", "telling", "unhandled", "watchers", "watching",
    )  # fmt: skip

    def __init__(
        self, spec: Recipe, name: str, handles: Handles, settings: Settings, family: Leaving, *, awaited: bool
    ) -> None:
        self.spec: Recipe | None = spec
        self.name = name
        self.family = family
        self.policy = settings.policy
        self.history = None if settings.intensity is None else RestartHistory(settings.intensity)
        self.stop_timeout = settings.stop_timeout
        self.start_timeout = settings.start_timeout
        self.hooks = settings.hooks
        self._on_dead_letter = settings.on_dead_letter
        self.mailbox: Mailbox[M] = Mailbox(name, settings.capacity, settings.overflow, self, settings.hooks)
        self.handles = handles
        self._ref: Any = handles.ref(self)
        self.state = State.STARTING
        self.started = False  # it was ready at least once
        self.awaited = awaited  # `start` waits for that
        self.ready_value: Any = None
        self.context: Context | None = None  # of its starter, for restarted runs
        self.task: trio.lowlevel.Task | None = None
        self.asks = Asks()
        self.asking: Running | None = None
        self.telling: Running | None = None
        self.watchers: dict[Cell[Any], Callable[[Exit], Any]] = {}
        self.watching: dict[Cell[Any], None] = {}  # empty, it is no object for the garbage collector
        self.exit: Exit | None = None
        self.on_end: Callable[[Exit], None] | None = None  # for a nested supervisor
        self.restarts = self.interrupts = self.late_replies = self.dead_letters = self.unhandled = 0
        self._waiters: dict[trio.lowlevel.Task, None] | None = None  # a parking lot, made when it is needed
        self._cancel_reason: str | None = None
        self._stop_reason: str | None = None

    @property
    def ref(self) -> Any:
        """The handle for others. An ended actor drops it: a reference cycle would keep both in memory."""
        if not isinstance(self._ref, weakref.ref):
            return self._ref
        found = self._ref()
        if found is None:
            found = self.handles.ref(self)
            self._ref = weakref.ref(found)
        return found

    # -- states

    @property
    def has_starter(self) -> bool:
        """Whether a call of `start` waits until it is ready, and raises if it never is."""
        return self.awaited and not self.started

    @property
    def is_leaving(self) -> bool:
        """Whether its supervisor, or one above that, is being left."""
        return self.family.is_leaving

    @enable_ki_protection
    def _move(self, step: Step, exit: Exit | None = None) -> None:
        before, self.state = self.state, advance(self.state, step)
        if self.hooks is not None and before is not self.state:
            self.hooks.moved(self.ref, before, self.state, exit)
        if self._waiters:
            self.nudge()

    def at(self, *states: State) -> bool:
        """Whether it is in one of these states, at this moment (a call, because a state does not stay)."""
        return self.state in states

    @enable_ki_protection
    async def changed(self) -> None:
        """Wait for the next change of its state. Check `state` before and after: changes are not counted."""
        task = trio.lowlevel.current_task()
        waiters = self._waiters
        if waiters is None:
            waiters = self._waiters = {}
        waiters[task] = None

        def abort(_: object) -> trio.lowlevel.Abort:
            del waiters[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    @enable_ki_protection
    def nudge(self) -> None:
        """Wake the tasks that wait for a change, because something other than the state has changed."""
        waiters, self._waiters = self._waiters, None
        for task in waiters or ():
            trio.lowlevel.reschedule(task)

    async def wait(self) -> Exit:
        """Wait for its end."""
        while self.exit is None:
            await self.changed()
        return self.exit

    @enable_ki_protection
    def ready(self, value: object = None) -> None:
        """Its set-up is done: the caller of `start` may continue."""
        if not self.started:
            self.ready_value = value
        self.started = True
        if self.state is not State.RUNNING:  # it is when an interrupt made the function run again
            self._move(Step.READY)

    def receiving(self) -> None:
        """Called by the mailbox at the first receive: an actor that receives is ready."""
        self.mailbox.reader = trio.lowlevel.current_task()
        if self.state is State.STARTING:
            self.ready()

    def drained(self) -> None:
        """Called by the mailbox when it has no more messages."""

    # -- between two runs, and the end

    @enable_ki_protection
    def rest(self, exit: Exit) -> None:
        """A run has ended, another may follow: settle the message in hand; the mailbox stays."""
        letters = self._letters(self.mailbox.messages_in_hand(), f"its handler {exit.describe()}")
        waiting = self.mailbox.messages() + self.mailbox.messages_waiting()
        self.asks.fail_those_not_in(waiting, lambda: self._why_no_reply(exit))
        self._unwatch_all()
        self.task = None
        self._move(Step.REST, exit)
        self.mailbox.put_down()
        self._to_dead_letters(letters)

    @enable_ki_protection
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

    @enable_ki_protection
    def end(self, exit: Exit) -> None:
        """End it: return the remaining messages, wake all waiters, and drop references that would keep it in memory."""
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
        if self.asks:
            self.asks.fail_all(lambda: self._why_no_reply(exit))
        if self.watching:
            self._unwatch_all()
        watchers = None
        if self.watchers:
            watchers, self.watchers = self.watchers, {}
            for watcher in watchers:
                watcher.watching.pop(self, None)
        self.task = None
        self._move(Step.END, exit)
        self.mailbox.put_down()
        if watchers is not None:
            for watcher, make in watchers.items():
                watcher.notify(self, functools.partial(make, exit))
        if self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end(exit)
        if letters:
            self._to_dead_letters(letters)
        self.spec = self.context = None
        self.mailbox.owner = None
        self._ref = weakref.ref(self._ref)

    def _why_no_reply(self, exit: Exit) -> Exception:
        if exit.kind is ExitKind.FAILED and exit.cause is not None:
            error = ActorFailed(self.name, exit.cause)
            error.__cause__ = exit.cause
            return error
        return ActorStopped(self.name, exit)

    def unanswerable(self, error: BaseException) -> Exception:
        """What an asker gets if a handler answers with an exception that must not leave its task.

        A cancellation, for example, would seem to cancel the asker.
        """
        rest = error.split(trio.Cancelled)[1] if isinstance(error, BaseExceptionGroup) else error
        if rest is None or isinstance(rest, trio.Cancelled):
            return Interrupted(self.name, self._cancel_reason or "its handler was cancelled")
        return ActorFailed(self.name, error)

    # -- dead letters

    @enable_ki_protection
    def dropped(self, message: M, why: str) -> None:
        """The mailbox dropped a message."""
        self.asks.fail_those_in([message], lambda: MessageDropped(self.name, why))
        self._to_dead_letters(self._letters([message], why))

    def absorbs(self, message: M) -> bool:
        """Whether a message that came after the end of the intake becomes a dead letter instead of an error.

        It does if an actor sends it while the supervisor of both is being left: the order in which they stop is then
        no error of the sender.
        """
        sender = current_actor()
        if sender is None or not sender.is_leaving or not self.is_leaving:
            return False
        self._to_dead_letters(
            self._letters([message], "it was sent after the actor stopped, while its supervisor was left")
        )
        return True

    def _letters(self, messages: list[M], why: str) -> list[DeadLetter]:
        return [DeadLetter(message, self.name, why) for message in messages]

    def _to_dead_letters(self, letters: list[DeadLetter]) -> None:
        self.dead_letters += len(letters)
        if self._on_dead_letter is not None:
            for letter in letters:
                self._on_dead_letter(letter)

    # -- waits that could never end

    @property
    def is_only_reader(self) -> bool:
        """Whether only its own task receives from its mailbox."""
        reader = self.mailbox.reader
        return reader is None or reader is self.task

    @enable_ki_protection
    def about_to_block(self, task: trio.lowlevel.Task) -> Running | None:
        """A task is about to wait for room in the mailbox.

        Returns:
            The actor whose own task it is; its `telling` must be reset after the wait.

        Raises:
            SelfTell: it is this actor's own.
            TellCycle: it would close a cycle of actors that wait for each other.
        """
        if self.task is task and self.is_only_reader:
            raise SelfTell(self.name, self.mailbox.capacity)
        sender = current_actor()
        if sender is None or sender.task is not task:
            return None
        sender.telling = self
        if cycle := cycle_of_tells(sender):
            sender.telling = None
            raise TellCycle(self.name, cycle)
        return sender

    # -- commands

    @abstractmethod
    def stop(self, reason: str | None, *, drain: bool) -> None:
        """Begin an ordered stop: see `Ref.stop`."""

    @abstractmethod
    def pause(self, reason: str) -> None:
        """End the present run before its next message, to be run again. The intake stays open."""

    @abstractmethod
    def cancel(self, reason: str | None) -> None:
        """Cancel it: see `Ref.cancel`."""

    @abstractmethod
    def interrupt(self, reason: str | None) -> bool:
        """Cancel the handler that runs now, if one does: see `Ref.interrupt`."""

    # -- death watch

    def notify(self, about: object, make: Callable[[], M]) -> None:
        """Deliver `make()` in the system lane."""
        self.mailbox.notify(about, make)

    def watch(self, other: Cell[Any], make: Callable[[Exit], M]) -> None:
        """Receive `make(exit)` in the system lane when `other` ends, at once if it has."""
        if other.exit is not None:
            self.notify(other, functools.partial(make, other.exit))
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

    # -- statistics

    def statistics(self) -> Statistics:
        """A snapshot of its counters."""
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
