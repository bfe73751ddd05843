"""The callee's half of an `ask`: a reply that goes directly to the waiting task, not through a mailbox."""

from __future__ import annotations

import enum
from typing import Generic, Protocol, TypeVar

import trio
from outcome import Error, Value
from trio.lowlevel import enable_ki_protection

from actors.errors import Interrupted, WrongThread

R = TypeVar("R")


class NoAnswer(enum.Enum):
    """Why an asker was woken without an answer."""

    EXPIRED = enum.auto()
    """Its deadline has passed."""
    UNWATCHED = enum.auto()
    """Its deadline is its own to watch from now on."""


NO_ASKER = Error(RuntimeError("no asker waits for this reply"))
"""The answer of a reply whose asker has gone, with or without one."""


class Callee(Protocol):
    """The actor that answers: it counts the answers that came too late."""

    name: str
    late_replies: int

    def unanswerable(self, error: BaseException) -> Exception:
        """What an asker gets instead of an exception that must not leave its task."""


class Reply(Generic[R]):
    """Answers exactly one question with `set` or `fail`; neither ever blocks. Call them in Trio's thread.

    An answer to an asker that no longer waits (deadline, cancellation, a second answer) is counted in the callee's
    statistics and otherwise ignored, because it is not the callee's fault.
    """

    __slots__ = ("_answer", "_callee", "_task")

    def __init__(self, callee: Callee | None = None) -> None:
        """Made by `ask`. (Tests may make one without a callee.)"""
        self._callee = callee
        self._answer: Value[R] | Error | None = None
        self._task: trio.lowlevel.Task | None = None

    def set(self, value: R) -> None:
        """Answer with a value."""
        self._settle(Value(value))

    def fail(self, error: BaseException) -> None:
        """Answer with an exception, which is raised at the caller's `ask`.

        A `BaseException` that is no `Exception` is not passed on: the caller gets `Interrupted` instead of a
        cancellation, which would seem to be its own, and `ActorFailed` instead of anything else.
        """
        if not isinstance(error, Exception):
            error = Interrupted("?", None) if self._callee is None else self._callee.unanswerable(error)
        self._settle(Error(error))

    @property
    def wanted(self) -> bool:
        """Whether the asker still waits. Check this before costly work."""
        return self._answer is None

    @enable_ki_protection
    def _settle(self, answer: Value[R] | Error) -> None:
        if self._answer is not None:
            if self._callee is not None:
                self._callee.late_replies += 1
            return
        if self._task is not None:
            self._wake(self._task, answer)
            self._task = None
        self._answer = answer

    def _wake(self, task: trio.lowlevel.Task, answer: Value[R] | Error) -> None:
        try:
            trio.lowlevel.reschedule(task, answer)
        except RuntimeError:
            raise WrongThread("?" if self._callee is None else self._callee.name, "a reply") from None

    def _give_up(self) -> None:
        """The caller no longer waits. (An answer that it got is not kept: others may hold this reply for longer.)"""
        self._answer = NO_ASKER

    def _expire(self) -> None:
        """The deadline has passed."""
        if self._task is not None:
            trio.lowlevel.reschedule(self._task, Value(NoAnswer.EXPIRED))
            self._task = None
            self._answer = NO_ASKER

    def _hand_back(self) -> None:
        """The deadline is the caller's own to watch from now on."""
        if self._task is not None:
            trio.lowlevel.reschedule(self._task, Value(NoAnswer.UNWATCHED))
            self._task = None

    @enable_ki_protection
    async def _wait(self) -> R | NoAnswer:
        """Wait for the answer: the caller's half, used by `Ref.ask`."""
        if self._answer is not None:
            await trio.lowlevel.checkpoint()
            return self._answer.unwrap()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        answer: R | NoAnswer = await trio.lowlevel.wait_task_rescheduled(abort)
        return answer

    def __repr__(self) -> str:
        return f"<Reply {'wanted' if self.wanted else 'settled'}>"
