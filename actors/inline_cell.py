"""The life of an actor without a task: each message is handled in the sender's task, within the `tell`.

A handler that never waits needs no task of its own. One message is handled at a time. Messages that the handler itself
causes wait in the mailbox and are handled next, by the same sender. A failure is the actor's, never the sender's. While
the actor rests before a restart, messages wait in the mailbox as with any other actor. Only then its supervisor has a
task for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from trio.lowlevel import disable_ki_protection, enable_ki_protection

from actors.cell import Cell, Handles, Leaving, Recipe, Settings
from actors.current import become, current
from actors.exits import Exit, ExitKind
from actors.lifecycle import State, Step
from actors.statistics import Statistics

M = TypeVar("M")


class Engine(Leaving, Protocol):
    """The part of the supervisor's engine that a cell without a task uses."""

    def run_is_over(self, cell: InlineCell[Any], exit: Exit) -> None:
        """Decide whether it is restarted or ends."""


class InlineCell(Cell[M]):
    """An actor whose handler is a plain function, called in the sender's task."""

    has_task = False

    __slots__ = ("_engine", "_is_working", "handle", "has_more", "idle", "is_slow", "quick")

    def __init__(
        self, spec: Recipe, name: str, handles: Handles, settings: Settings, engine: Engine, *, awaited: bool
    ) -> None:
        super().__init__(spec, name, handles, settings, engine, awaited=awaited)
        self._engine = engine
        self.handle: Callable[[M], object] | None = None  # `None` between two runs
        # Whether messages go through the mailbox: it rests, has ended, is traced or is being left.
        self.is_slow = True
        # `handle` while a message can be handled at once: it is not slow, and handles no other one.
        self.idle: Callable[[M], object] | None = None
        self._is_working = False  # it handles what was in the mailbox
        self.has_more = False  # something came while it was busy
        self.quick = 0  # messages that did not go through the mailbox

    # -- one run

    @enable_ki_protection
    def begin(self) -> Exit | None:
        """Set up a run, and handle what waits in the mailbox.

        Returns:
            How the run ended, if it did: `rest` or `end` must follow.
        """
        if self.restarts:
            self.mailbox.begin()
        assert self.spec is not None
        self._is_working = True
        try:
            self.handle = self.spec.run(self.handles.me(self))
        except Exception as failure:  # noqa: BLE001 - it is the supervisor's to judge
            return self._over(Exit(self.name, ExitKind.FAILED, None, failure))
        except BaseException as failure:
            self._abort(failure)
            raise
        self.mailbox.fresh = False
        self.ready()
        return self._work()

    @enable_ki_protection
    def go(self) -> None:
        """Handle what waits, after a message or a stop, unless that is being done further up the stack."""
        self.has_more = True
        if self.is_busy or self.state in (State.STARTING, State.RESTING):
            return
        if self.state is State.ENDED:
            self._over(self.exit_at_rest())
            return
        exit = self._work()
        if exit is not None:
            self._engine.run_is_over(self, exit)

    @enable_ki_protection
    def _work(self) -> Exit | None:
        """Handle one message after another until none waits, or the run is over."""
        box = self.mailbox
        self._is_working, self.idle = True, None
        while True:
            if self._cancel_reason is not None:
                return self._over(Exit(self.name, ExitKind.CANCELLED, self._cancel_reason))
            if self.handle is None:
                return self._over(self.exit_at_rest())
            if box.ending or not (box.notices or box.queue):
                break
            try:
                self._take_one(self.handle)
            except Exception as failure:  # noqa: BLE001 - it is the supervisor's to judge
                return self._over(Exit(self.name, ExitKind.FAILED, self._stop_reason, failure))
            except BaseException as failure:
                self._abort(failure)
                raise
        if box.ending or not box.open:
            return self._over(Exit(self.name, ExitKind.STOPPED, self._stop_reason))
        self.has_more = self._is_working = False
        self.is_slow = self.hooks is not None or self.is_leaving
        self.idle = None if self.is_slow else self.handle
        return None

    @enable_ki_protection
    def slow_down(self) -> None:
        """Its supervisor is being left: from now on its handler counts as a sender of its own, see `Cell.absorbs`."""
        self.is_slow, self.idle = True, None

    @property
    def is_busy(self) -> bool:
        """Whether a message is being handled, further up in the stack."""
        return self._is_working or not (self.idle or self.is_slow)

    @disable_ki_protection  # it is called in protected code, and runs the user's
    def _take_one(self, handle: Callable[[M], object]) -> None:
        message = self.mailbox.take_now()
        token = become(self) if self.is_leaving else None
        try:
            result = handle(message)
        finally:
            if token is not None:
                current.reset(token)
        if result is not None:
            self.check_result(result)
        self.mailbox.put_down()

    def _over(self, exit: Exit) -> Exit:
        self.is_slow, self.idle, self._is_working = True, None, False
        return exit

    @enable_ki_protection
    def broke(self, message: M, failure: BaseException) -> None:
        """Handle an exception of the handler on the quick path."""
        self.mailbox.in_hand = message
        if not isinstance(failure, Exception):
            self._abort(failure)
            raise failure
        exit = Exit(self.name, ExitKind.FAILED, self._stop_reason, failure)
        self._engine.run_is_over(self, self._over(exit))

    def _abort(self, failure: BaseException) -> None:
        self.end(Exit(self.name, ExitKind.FAILED, self._cancel_reason, failure))

    def check_result(self, result: object) -> None:
        """Raise `TypeError` if a handler's result must be awaited: then nothing was done."""
        if not hasattr(result, "__await__"):
            return
        close = getattr(result, "close", None)
        if close is not None:
            close()
        raise TypeError(
            f"the handler of {self.name!r}, an actor without a task, must be a plain function that never waits; it "
            f"returned {result!r}. Use actors.actor for one that waits"
        )

    @enable_ki_protection
    def rest(self, exit: Exit) -> None:
        """As `Cell.rest`; the next run has a handler of its own."""
        self.handle = None
        super().rest(exit)

    @enable_ki_protection
    def end(self, exit: Exit) -> None:
        """As `Cell.end`."""
        self.is_slow, self.idle, self._is_working = True, None, False
        self.handle = None
        super().end(exit)

    def statistics(self) -> Statistics:
        """As `Cell.statistics`, with the messages that did not go through the mailbox."""
        self.count()
        return super().statistics()

    @enable_ki_protection
    def count(self) -> None:
        """Account for those messages. (Now and then, for small numbers are quicker to count.)"""
        self.mailbox.accepted += self.quick
        self.quick = 0

    # -- sending

    @enable_ki_protection
    def accept(self, message: M) -> None:
        """Handle a message, or queue it if that cannot be now. Errors are those of `Ref.try_tell`."""
        self.mailbox.put_nowait(message)
        self.go()

    @enable_ki_protection
    def notify(self, about: object, make: Callable[[], M]) -> None:
        """Deliver `make()` before all queued messages."""
        super().notify(about, make)
        self.go()

    # -- commands

    @enable_ki_protection
    def stop(self, reason: str | None, *, drain: bool) -> None:
        """Stop: what is queued is handled now, within this call, unless a handler of this actor is further up."""
        if self.state is State.ENDED:
            return
        if self._stop_reason is None:
            self._stop_reason = reason
        self.mailbox.close()
        if not drain:
            self.mailbox.ending = True
        self._move(Step.STOP)
        self.go()

    @enable_ki_protection
    def pause(self, reason: str) -> None:
        """End the present run before its next message, to be run again. The intake stays open."""
        self._stop_reason = reason
        self.mailbox.ending = True
        self._move(Step.PAUSE)
        self.go()

    @enable_ki_protection
    def cancel(self, reason: str | None) -> None:
        """End it before its next message."""
        if self.state is State.ENDED or self._cancel_reason is not None:
            return
        self._cancel_reason = reason or "no reason given"
        self.mailbox.close()
        self._move(Step.CANCEL)
        self.go()

    def interrupt(self, reason: str | None) -> bool:
        """A handler that never waits cannot be interrupted."""
        return False
