"""Seeded schedules: the same seed gives the same order of tasks, another seed another order.

The only place that reaches into trio's private parts. Trio shuffles the tasks of each batch when it is told
to be deterministic, and draws from a random generator of its own; both have been there unchanged since 2019
(for Hypothesis), and this package pins the versions of trio that it was tested with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
import trio.testing

T = TypeVar("T")


def run_seeded(
    function: Callable[..., Awaitable[T]],
    *args: Any,
    seed: int,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> T:
    """`trio.run` with the schedule that belongs to `seed`, in virtual time that jumps when everybody waits.

    What it raises carries a note with the seed.
    """
    with _seeded(seed):
        try:
            return trio.run(
                function,
                *args,
                clock=clock or trio.testing.MockClock(autojump_threshold=0),
                instruments=instruments,
            )
        except BaseException as error:
            error.add_note(f"schedule: seed {seed}")
            raise


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    from trio._core import _run

    scheduler: Any = _run
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before[0]
        scheduler._r.setstate(before[1])


def throw_into(task: trio.lowlevel.Task, error: BaseException) -> bool:
    """Make a task that is about to be resumed raise `error` where it waits.

    Returns whether that was possible: a task that is to be resumed with an error of its own is left alone.
    """
    scheduled: Any = task
    if scheduled._next_send_fn != task.coro.send or not hasattr(scheduled._next_send, "value"):
        return False
    scheduled._next_send_fn = task.coro.throw
    scheduled._next_send = error
    return True
