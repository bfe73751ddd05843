from __future__ import annotations

import sys

import pytest
import trio

from actors.testing import fail_at_every_step, run_seeded
from actors.testing.schedule import NoFaults, SeedsHaveNoEffect, scheduler


def order(seed: int) -> tuple[int, ...]:
    seen: list[int] = []

    async def note(number: int) -> None:
        await trio.lowlevel.checkpoint()
        seen.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(note, number)

    run_seeded(main, seed=seed)
    return tuple(seen)


seeded = pytest.mark.skipif(scheduler() is None, reason="this Trio cannot be seeded")


@seeded
def test_the_same_seed_gives_the_same_schedule_and_other_seeds_other_ones() -> None:
    orders = [order(seed) for seed in range(50)]
    assert orders == [order(seed) for seed in range(50)]
    assert len(set(orders)) > 45


def test_an_error_says_under_which_seed_it_came() -> None:
    async def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:
        run_seeded(fail, seed=12)
    assert caught.value.__notes__ == ["schedule: seed 12"]


@seeded
def test_trios_scheduler_is_left_as_it_was() -> None:
    trios = scheduler()
    before = trios._ALLOW_DETERMINISTIC_SCHEDULING, trios._r.getstate()
    order(3)
    assert (trios._ALLOW_DETERMINISTIC_SCHEDULING, trios._r.getstate()) == before


def test_without_trios_private_parts_seeds_are_said_to_have_no_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "trio._core", None)
    with pytest.warns(SeedsHaveNoEffect, match="the seed 3 has no effect"):
        assert sorted(order(3)) == list(range(8))


def test_without_trios_private_parts_a_fault_cannot_be_injected(monkeypatch: pytest.MonkeyPatch) -> None:
    class Task:
        """A task of a Trio that keeps things elsewhere."""

    monkeypatch.setattr(trio.lowlevel, "Task", Task)
    with pytest.raises(NoFaults, match="does not let a test make a task raise"):
        fail_at_every_step(lambda: pytest.fail("a scenario was built"))
