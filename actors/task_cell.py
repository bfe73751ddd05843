"""The life of an actor that has a task: run, interrupt, stop, cancel."""

from __future__ import annotations

from typing import TypeVar

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from actors.ask_deadlines import FOREVER
from actors.cell import Cell, Handles, Leaving, Recipe, Settings
from actors.current import become
from actors.errors import ActorStopped, EndOfMailbox, Interrupted, StartTimeout
from actors.exits import Exit, ExitKind
from actors.lifecycle import State, Step
from actors.mailbox import NOTHING

M = TypeVar("M")


class TaskCell(Cell[M]):
    """An actor whose function is a coroutine function, run in a task of its supervisor's nursery."""

    __slots__ = (
        "_deadline", "_interrupt_reason", "_interruptible", "_scope", "_start_deadline",
    )  # fmt: skip

    def __init__(
        self, spec: Recipe, name: str, handles: Handles, settings: Settings, family: Leaving, *, awaited: bool
    ) -> None:
        super().__init__(spec, name, handles, settings, family, awaited=awaited)
        self._scope: trio.CancelScope | None = None
        # What an interrupt cancels: `_scope`, or that of `Me.serve`.
        self._interruptible: trio.CancelScope | None = None
        self._interrupt_reason: tuple[str | None] | None = None
        self._deadline = FOREVER  # of a stop
        self._start_deadline = FOREVER  # of a restarted run, until it is ready

    # -- one run of the function

    @disable_ki_protection  # it is called in protected code, and runs the user's
    async def run(self) -> Exit:
        """Run the function, and again after each interrupt, until it ends.

        Returns:
            How it ended. It is not the end of the actor: `rest` or `end` must follow.

        Raises:
            BaseException: what is not an `Exception` (a cancellation from outside, `KeyboardInterrupt`)
                passes through; the actor has then ended.
        """
        self.task = trio.lowlevel.current_task()
        become(self)
        try:
            if self.restarts:
                self.mailbox.begin()
                if self.started:
                    self._start_deadline = trio.current_time() + self.start_timeout
            while True:
                if self._cancel_reason is not None:
                    return self._exit(ExitKind.CANCELLED, self._cancel_reason)
                assert self.spec is not None
                deadline = self._deadline if self._deadline < self._start_deadline else self._start_deadline
                self._scope = self._interruptible = trio.CancelScope(deadline=deadline)
                with self._scope:
                    await self.spec.run(self.handles.me(self))
                if (exit := self._unwound(self._scope)) is not None:
                    return exit
                self.interrupted()
                self._unwatch_all()
                self.mailbox.begin()
        except Exception as failure:  # noqa: BLE001 - it is the supervisor's to judge
            return self._failed(failure)
        except BaseException as failure:
            self.end(self._torn(failure))
            raise
        finally:
            self._scope = self._interruptible = None
            self._start_deadline = FOREVER

    def _unwound(self, scope: trio.CancelScope) -> Exit | None:
        """How a run ended that did not raise; `None` if an interrupt ended it."""
        if self._cancel_reason is not None:
            return self._exit(ExitKind.CANCELLED, self._cancel_reason)
        if not scope.cancelled_caught:
            return self._exit(*self._returned())
        now = trio.current_time()
        if now >= self._deadline:
            return self._exit(ExitKind.CANCELLED, f"it did not stop within {self.stop_timeout} s")
        if now >= self._start_deadline:
            return self._exit(ExitKind.FAILED, cause=StartTimeout(self.name, self.start_timeout))
        return None

    def _returned(self) -> tuple[ExitKind, str | None]:
        if self.state in (State.STOPPING, State.PAUSING):
            return ExitKind.STOPPED, self._stop_reason
        return ExitKind.FINISHED, None

    def _failed(self, failure: Exception) -> Exit:
        if self.state in (State.STOPPING, State.PAUSING) and _is_only(EndOfMailbox, failure):
            return self._exit(*self._returned())
        if self.is_leaving and _is_only(ActorStopped, failure):
            # It asked a sibling that had stopped before it. The message in hand becomes a dead letter.
            return Exit(self.name, ExitKind.STOPPED, f"while its supervisor was being left: {failure}")
        return self._exit(ExitKind.FAILED, self._cancel_reason or self._stop_reason, failure)

    def _exit(self, kind: ExitKind, reason: str | None = None, cause: BaseException | None = None) -> Exit:
        if kind in (ExitKind.FINISHED, ExitKind.STOPPED):
            self.mailbox.put_down()  # a function that returns has handled what it took
        return Exit(self.name, kind, reason, cause)

    def _torn(self, failure: BaseException) -> Exit:
        """How it ended when an exception from outside of it ended it."""
        rest: BaseException | None = failure
        if isinstance(failure, BaseExceptionGroup):
            rest = failure.split(trio.Cancelled)[1]
        if rest is None or isinstance(rest, trio.Cancelled):
            return self._exit(ExitKind.CANCELLED, self._cancel_reason or "the block around it was cancelled")
        return self._exit(ExitKind.FAILED, self._cancel_reason, rest)

    @enable_ki_protection
    def ready(self, value: object = None) -> None:
        """Its set-up is done: the caller of `start` may continue, and its start deadline is met."""
        super().ready(value)
        if self._start_deadline != FOREVER:
            self._start_deadline = FOREVER
            if self._scope is not None:
                self._scope.deadline = self._deadline

    def drained(self) -> None:
        """Called by the mailbox when it is drained: what the function does from here on is cleanup.

        Cleanup is shielded from a cancellation from outside. The deadline of the stop still holds.
        """
        if self._scope is not None:
            self._scope.shield = True

    @enable_ki_protection
    def rest(self, exit: Exit) -> None:
        """As `Cell.rest`; the deadlines and an interrupt of the ended run do not affect the next one."""
        self._deadline = FOREVER
        self._interrupt_reason = None
        super().rest(exit)

    # -- commands

    @enable_ki_protection
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

    @enable_ki_protection
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
        self._start_deadline = FOREVER
        if self._scope is not None:
            self._scope.deadline = self._deadline

    @enable_ki_protection
    def cancel(self, reason: str | None) -> None:
        """Cancel it: see `Ref.cancel`."""
        if self.state is State.ENDED or self._cancel_reason is not None:
            return
        self._cancel_reason = reason or "no reason given"
        if self._scope is not None:
            # Cancel first: this wakes an actor that is parked in its receive, with the cancellation. If the mailbox
            # woke it, the cancellation would come two turns of the loop later.
            self.mailbox.cancelling = True
            self._scope.cancel(reason)
        self.mailbox.close()
        self._end_receiving()
        self._move(Step.CANCEL)

    @enable_ki_protection
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

    @enable_ki_protection
    def interrupted(self) -> None:
        """A handler was unwound by an interrupt: settle its message, and prepare for the next one."""
        reason = None if self._interrupt_reason is None else self._interrupt_reason[0]
        messages = self.mailbox.messages_in_hand()
        self.asks.fail_those_in(messages, lambda: Interrupted(self.name, reason))
        self.mailbox.put_down()
        self.mailbox.cancelling = False
        self._interrupt_reason = None
        self._to_dead_letters(
            self._letters(messages, f"its handler was interrupted: {reason or 'no reason given'}")
        )

    def unanswerable(self, error: BaseException) -> Exception:
        """As `Cell.unanswerable`; an interrupt has a reason of its own."""
        answer = super().unanswerable(error)
        if isinstance(answer, Interrupted) and self._interrupt_reason is not None:
            return Interrupted(self.name, self._interrupt_reason[0])
        return answer

    def swap_interruptible(self, scope: trio.CancelScope) -> trio.CancelScope | None:
        """Let an interrupt cancel `scope`. Returns the previous scope, for restoring it."""
        before, self._interruptible = self._interruptible, scope
        return before


def _is_only(kind: type[Exception], failure: Exception) -> bool:
    """Whether a failure is of one kind, possibly inside exception groups from a nursery of the actor's own."""
    if isinstance(failure, ExceptionGroup):
        return failure.split(kind)[1] is None
    return isinstance(failure, kind)
