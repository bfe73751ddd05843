from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import actors
from actors.testing import Probe


async def test_expect_returns_the_next_message_if_it_is_what_is_wanted(autojump_clock: MockClock) -> None:
    async with actors.open_supervisor() as supervisor:
        probe: Probe[Any] = await Probe.start(supervisor)
        await probe.ref.tell("text")
        await probe.ref.tell(5)
        assert await probe.expect("text") == "text"
        assert await probe.expect(int) + 1 == 6


async def test_expect_fails_when_something_else_comes_or_nothing(autojump_clock: MockClock) -> None:
    async with actors.open_supervisor() as supervisor:
        probe: Probe[Any] = await Probe.start(supervisor)
        await probe.ref.tell(5)
        with pytest.raises(AssertionError, match="expected 'text', got 5"):
            await probe.expect("text")
        with pytest.raises(AssertionError, match=r"nothing came for 2\.0 s"):
            await probe.expect("text", within=2.0)
        assert trio.current_time() == 2.0


async def test_expect_nothing_waits_and_fails_when_something_comes(autojump_clock: MockClock) -> None:
    async with actors.open_supervisor() as supervisor:
        probe: Probe[Any] = await Probe.start(supervisor)
        await probe.expect_nothing(seconds=5.0)
        assert trio.current_time() == 5.0
        await probe.ref.tell("surprise")
        with pytest.raises(AssertionError, match="got 'surprise'"):
            await probe.expect_nothing()


async def test_fish_passes_over_what_does_not_fit_within_one_deadline(autojump_clock: MockClock) -> None:
    async def trickle(ref: actors.Ref[Any]) -> None:
        for number in range(100):
            await trio.sleep(0.4)
            await ref.tell(number)

    async with actors.open_supervisor() as supervisor, trio.open_nursery() as nursery:
        probe: Probe[Any] = await Probe.start(supervisor)
        nursery.start_soon(trickle, probe.ref)
        assert await probe.fish(lambda number: number == 1, within=1.0) == 1
        with pytest.raises(AssertionError):
            await probe.fish(lambda number: number == 99, within=1.0)
        nursery.cancel_scope.cancel()
