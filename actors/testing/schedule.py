"""Seeded schedules: the same seed gives the same order of tasks, another seed another order.

The only file of this package that uses private parts of Trio. Trio shuffles the tasks of each batch when it is told
to be deterministic, and draws from a random generator of its own (both since 2019, for Hypothesis). A step test makes
a task raise by replacing what it is about to be resumed with. Each part is looked for when it is used. On a Trio
without them, seeds have no effect (`SeedsHaveNoEffect` is warned), and no faults can be injected (`NoFaults`);
everything else works.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
import trio.testing

from actors.intensity import chance
from actors.mailbox import CHECKPOINT_EVERY, budget

T = TypeVar("T")


class SeedsHaveNoEffect(UserWarning):
    """This version of Trio cannot be given a seed: `run_seeded` runs under Trio's own, random schedule."""


class NoFaults(RuntimeError):  # noqa: N818
    """This version of Trio does not let a test make a task raise: `fail_at_every_step` cannot work."""


def run_seeded(
    function: Callable[..., Awaitable[T]],
    *args: Any,
    seed: int,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> T:
    """`trio.run` with the schedule that belongs to `seed`, in virtual time that jumps when all tasks wait.

    What it raises carries a note with the seed. Warns `SeedsHaveNoEffect` if Trio cannot be seeded.
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


def scheduler() -> Any:
    """Trio's scheduler if it can be seeded, else `None`."""
    try:
        from trio._core import _run
    except ImportError:
        return None
    seedable = hasattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING") and hasattr(getattr(_run, "_r", None), "seed")
    return _run if seedable else None


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    chance.seed(seed)
    budget.left = CHECKPOINT_EVERY
    found = scheduler()
    if found is None:
        text = f"trio {trio.__version__} cannot be seeded: the seed {seed} has no effect on the schedule"
        warnings.warn(text, SeedsHaveNoEffect, stacklevel=4)
        yield
        return
    before = found._ALLOW_DETERMINISTIC_SCHEDULING, found._r.getstate()
    found._ALLOW_DETERMINISTIC_SCHEDULING = True
    found._r.seed(seed)
    try:
        yield
    finally:
        found._ALLOW_DETERMINISTIC_SCHEDULING = before[0]
        found._r.setstate(before[1])


def require_faults() -> None:
    """Check that `throw_into` can work.

    Raises:
        NoFaults: this Trio keeps elsewhere what it resumes a task with.
    """
    if not all(hasattr(trio.lowlevel.Task, name) for name in ("_next_send_fn", "_next_send")):
        raise NoFaults(f"trio {trio.__version__} does not let a test make a task raise at a step")


def throw_into(task: trio.lowlevel.Task, error: BaseException) -> bool:
    """Make a task that is about to be resumed raise `error` where it waits. See `require_faults`.

    Returns whether that was possible: a task that is to be resumed with an error of its own is left alone.
    """
    scheduled: Any = task
    if scheduled._next_send_fn != task.coro.send or not hasattr(scheduled._next_send, "value"):
        return False
    scheduled._next_send_fn = task.coro.throw
    scheduled._next_send = error
    return True
