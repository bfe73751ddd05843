"""What follows from each fact, at once."""

from __future__ import annotations

import pytest
import trio

import actors
from optio_agents.session.outcome import Ending
from optio_agents.session.resolver import SLOWEST_LINK, Resolver, resolve
from optio_agents.session.verdict import (
    BodyEnded,
    CancelAsked,
    DoneSeen,
    Fact,
    Judge,
    LogEnded,
    Phase,
    Trouble,
)


async def test_done_decides_and_leaves_the_drain_alone() -> None:
    judge = Judge()
    resolver = Resolver(judge)
    resolver.hear(DoneSeen("ready"))
    assert resolver.decided.is_set()
    assert judge.verdict is not None
    assert not resolver.stage.cancel_called
    assert not resolver.draining.cancel_called


@pytest.mark.parametrize(("fact", "cuts_the_drain"), [(CancelAsked(), True), (Trouble(SystemExit(3)), False)])
async def test_what_leaves_nothing_to_drain_ends_the_set_up_and_the_run(
    fact: Fact, cuts_the_drain: bool
) -> None:
    resolver = Resolver(Judge())
    resolver.hear(fact)
    assert resolver.decided.is_set()
    assert resolver.stage.cancel_called
    assert resolver.draining.cancel_called is cuts_the_drain


async def test_a_cancel_after_done_cuts_the_drain_short_and_changes_nothing_else() -> None:
    judge = Judge()
    resolver = Resolver(judge)
    resolver.hear(DoneSeen(None))
    resolver.hear(CancelAsked())
    assert resolver.draining.cancel_called
    assert not resolver.stage.cancel_called
    assert judge.verdict is not None
    assert judge.verdict.ending is Ending.DONE


async def test_the_end_of_the_body_has_the_log_read_first() -> None:
    judge, finished = Judge(), []
    resolver = Resolver(judge)
    resolver.finish_log = lambda: finished.append(True)
    resolver.hear(BodyEnded(None))
    assert finished == [True]
    assert judge.phase is Phase.READING_REST
    assert not resolver.decided.is_set()
    resolver.hear(LogEnded())
    assert resolver.decided.is_set()


async def test_without_a_log_the_end_of_the_body_decides() -> None:
    judge = Judge()
    resolver = Resolver(judge)
    resolver.hear(BodyEnded(None))
    assert resolver.decided.is_set()
    assert judge.verdict is not None
    assert judge.verdict.ending is Ending.BODY_ENDED


async def test_each_byte_puts_the_drain_off_by_the_time_of_the_slowest_link() -> None:
    resolver = Resolver(Judge())
    resolver.draining.deadline = 100.0
    resolver.received(3 * SLOWEST_LINK)
    assert resolver.draining.deadline == pytest.approx(103.0)


async def test_a_fact_is_acted_upon_before_the_tell_returns() -> None:
    resolver = Resolver(Judge())
    async with actors.open_supervisor() as supervisor:
        ref = await supervisor.start(actors.inline(resolve, resolver), name="resolver")
        ref.try_tell(DoneSeen("ready"))
        assert resolver.decided.is_set()
    await trio.lowlevel.checkpoint()
