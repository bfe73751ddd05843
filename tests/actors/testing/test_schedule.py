from __future__ import annotations

import pytest
import trio

from actors.testing import run_seeded


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


def test_trios_scheduler_is_left_as_it_was() -> None:
    from trio._core import _run

    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()
    order(3)
    assert (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()) == before
