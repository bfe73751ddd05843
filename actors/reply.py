"""The callee's half of an `ask`: a reply that goes past the caller's mailbox, straight to the waiting
task.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import trio
from outcome import Error, Value

R = TypeVar("R")


class Counter(Protocol):
    """Where answers that came too late are counted: the callee."""

    late_replies: int


class Reply(Generic[R]):
    """Answer exactly one question with `set` or `fail`; neither ever blocks. To be called in Trio's thread.

    An answer to somebody who no longer waits (deadline, cancellation, a second answer) is counted in the
    callee's statistics and otherwise ignored: that the caller lost interest is not the callee's fault.
    """

    __slots__ = ("_answer", "_counter", "_task")

    def __init__(self, counter: Counter | None = None) -> None:
        """Made by `ask`. (Tests may make one without a counter.)"""
        self._counter = counter
        self._answer: Value[R] | Error | None = None
        self._task: trio.lowlevel.Task | None = None

    def set(self, value: R) -> None:
        """Answer with a value."""
        self._settle(Value(value))

    def fail(self, error: BaseException) -> None:
        """Answer with an exception, which is raised at the caller's `ask`."""
        self._settle(Error(error))

    @property
    def wanted(self) -> bool:
        """Whether an answer would still be of use. Costly work may look here first."""
        return self._answer is None

    def _settle(self, answer: Value[R] | Error) -> None:
        if self._answer is not None:
            if self._counter is not None:
                self._counter.late_replies += 1
            return
        self._answer = answer
        if self._task is not None:
            trio.lowlevel.reschedule(self._task, answer)
            self._task = None

    def _give_up(self) -> None:
        """The caller no longer waits."""
        if self._answer is None:
            self._answer = Error(RuntimeError("nobody waits for this reply"))

    async def _wait(self) -> R:
        """Wait for the answer: the caller's half, used by `Ref.ask`."""
        if self._answer is not None:
            await trio.lowlevel.checkpoint()
            return self._answer.unwrap()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        answer: R = await trio.lowlevel.wait_task_rescheduled(abort)
        return answer

    def __repr__(self) -> str:
        return f"<Reply {'wanted' if self.wanted else 'settled'}>"
