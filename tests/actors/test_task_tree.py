from __future__ import annotations

import pytest
import trio

import actors
from tests.support.sample_actors import gated, keep


async def test_the_tree_shows_every_actor_with_its_state_and_mailbox_below_its_owner() -> None:
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.actor(gated, trio.Event(), []), name="busy")
        await ref.tell(1)
        sub = await supervisor.start_supervisor(name="sub")
        await sub.start(actors.actor(keep, []), name="idle")
        picture = actors.tree(trio.lowlevel.current_task())
        ref.cancel()
    assert [line for line in picture.splitlines() if "<actor" in line] == [
        "  <actor 'busy' running 1/64>",
        "  <actor 'sub' running 0/64>",
        "    <actor 'idle' running 0/64>",
    ]


def test_there_is_no_tree_outside_of_trio() -> None:
    with pytest.raises(RuntimeError):
        actors.tree()
