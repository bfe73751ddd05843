"""Cancel an asyncio task at each single step of its loop, one run for each step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, TypeVarTuple

from outcome import Error, Outcome, Value

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SteppingLoop(asyncio.SelectorEventLoop):
    """A loop that counts the callbacks that were scheduled to run soon, and acts before a chosen one."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0
        self.act_at: int | None = None
        self.act: Callable[[], object] = lambda: None

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Schedule `callback` as one counted step."""

        def counted() -> None:
            if self.step == self.act_at:
                self.act()
            self.step += 1
            callback(*args)

        return super().call_soon(counted, context=context)


@dataclass(frozen=True)
class Run(Generic[T]):
    """What became of a program that was cancelled at `step`."""

    step: int
    fired: bool
    """Whether the program was still running at that step."""
    outcome: Outcome[T]
    left: frozenset[asyncio.Task[Any]]
    """Tasks that were still there when the program's task had ended."""

    @property
    def was_cancelled(self) -> bool:
        return isinstance(self.outcome, Error) and isinstance(self.outcome.error, asyncio.CancelledError)


def run_cancelled_at(step: int, program: Callable[[], Awaitable[T]], *, times: int = 1) -> Run[T]:
    """Run `program` as a task and cancel that task (`times` times, one step apart) before the loop's `step`."""
    with asyncio.Runner(loop_factory=SteppingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SteppingLoop)

        async def observe() -> Run[T]:
            async def run() -> T:
                return await program()

            task = asyncio.ensure_future(run())
            fired = 0

            def cancel() -> None:
                nonlocal fired
                if task.cancel():
                    fired += 1
                    if fired < times:
                        assert isinstance(loop, SteppingLoop)
                        loop.act_at = loop.step + 1

            loop.act, loop.step, loop.act_at = cancel, 0, step
            await asyncio.wait([task])
            loop.act_at = None
            outcome: Outcome[T]
            if task.cancelled():
                outcome = Error(asyncio.CancelledError())
            elif (failure := task.exception()) is not None:
                outcome = Error(failure)
            else:
                outcome = Value(task.result())
            left = asyncio.all_tasks() - {asyncio.current_task()}
            return Run(step, fired > 0, outcome, frozenset(left))

        return runner.run(observe())


def cancel_at_every_step(
    program: Callable[[], Awaitable[T]],
    check: Callable[[Run[T]], None],
    *,
    times: int = 1,
    limit: int = 1000,
    stride: int = 1,
) -> int:
    """Run `program` again for each step until it ends before it can be cancelled; `check` each run.

    `stride` above 1 tries only every `stride`-th step. Returns the last step at which it was cancelled, plus one.

    Raises:
        AssertionError: from `check`, with the step in a note; or the program never became shorter than `limit`.
    """
    for step in range(0, limit, stride):
        run = run_cancelled_at(step, program, times=times)
        try:
            check(run)
        except BaseException as failure:
            failure.add_note(f"cancelled {times} time(s) at step {step} of the loop: {run.outcome}")
            raise
        if not run.fired:
            return step
    raise AssertionError(f"still running after {limit} steps")
