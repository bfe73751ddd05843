"""Actors without a task under a supervisor: failures, restarts, escalation, stops, watches."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from tests.support.inline_actors import Total, start
from tests.support.sample_actors import Boom, keep


async def test_a_failure_is_the_actors_and_a_restart_begins_with_empty_hands() -> None:
    log: list[Any] = []
    failures: list[actors.Exit] = []
    async with actors.open_supervisor(on_failure=lambda ref, exit: failures.append(exit)) as supervisor:
        ref = await start(supervisor, log, restart=actors.TRANSIENT)
        await ref.tell(5)
        await ref.tell("boom")
        assert ref.state is actors.State.RESTING
        await ref.tell(1)
        assert await ref.ask(Total(), timeout=5) == 1
        assert ref.statistics().restarts == 1
    assert log == ["set up", 5, "set up", 1]
    assert [repr(exit.cause) for exit in failures] == ["Boom('told to')"]


async def test_during_a_backoff_messages_wait_and_a_full_mailbox_blocks(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    intensity = actors.Intensity(2, 60.0, actors.Backoff(first=3.0, jitter=0.0))
    async with actors.open_supervisor(intensity=intensity, on_failure=lambda ref, exit: None) as supervisor:
        ref = await start(supervisor, log, restart=actors.TRANSIENT, capacity=2)
        ref.try_tell("boom")
        for number in range(5):
            await ref.tell(number)
        assert trio.current_time() == 3.0
        ref.try_tell("boom")
        ref.try_tell(10)
        ref.try_tell(11)
        with pytest.raises(actors.MailboxFull):
            ref.try_tell(12)
        ref.stop()
        exit = await ref.wait()
    assert log == ["set up", "set up", 0, 1, 2, 3, 4]
    assert [letter.message for letter in exit.dead_letters] == [10, 11]
    assert exit.kind is actors.ExitKind.STOPPED


async def test_an_asker_learns_of_the_failure_and_of_the_end() -> None:
    def failing(me: actors.InlineMe[Total]) -> Callable[[Total], None]:
        def handle(message: Total) -> None:
            raise Boom

        return handle

    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.inline(failing))
        with pytest.raises(actors.ActorFailed) as caught:
            await ref.ask(Total(), timeout=5)
        assert isinstance(caught.value.cause, Boom)
        with pytest.raises(actors.ActorStopped):
            await ref.tell(Total())
        with pytest.raises(actors.ActorStopped):
            await ref.ask(Total(), timeout=5)
    assert ref.exit is not None
    assert [type(letter.message) for letter in ref.exit.dead_letters] == [Total]


async def test_one_failure_too_many_escalates() -> None:
    with pytest.raises(actors.Escalated, match="'adder' failed again, after 2 restarts"):
        async with actors.open_supervisor() as supervisor:
            ref = await start(supervisor, [], restart=actors.PERMANENT)
            for _ in range(3):
                await ref.tell("boom")
                await wait_all_tasks_blocked()
            await trio.sleep_forever()


@pytest.mark.parametrize("strategy", [actors.ONE_FOR_ALL, actors.REST_FOR_ONE])
@pytest.mark.parametrize("culprit", ["adder", "keep"])
async def test_it_takes_part_in_a_restart_of_all(strategy: actors.Strategy, culprit: str) -> None:
    log: list[Any] = []
    async with actors.open_supervisor(strategy=strategy, on_failure=lambda ref, exit: None) as supervisor:
        first = await start(supervisor, log, restart=actors.PERMANENT)
        second = await supervisor.start(actors.actor(keep, []), name="keep", restart=actors.PERMANENT)
        await first.tell(1)
        await (first if culprit == "adder" else second).tell("boom")
        await wait_all_tasks_blocked()
        restarted = [ref.statistics().restarts for ref in (first, second)]
        assert restarted == ([0, 1] if (strategy, culprit) == (actors.REST_FOR_ONE, "keep") else [1, 1])
        assert first.state is second.state is actors.State.RUNNING


async def test_a_nested_supervisor_runs_it_again_with_its_mailbox() -> None:
    log: list[Any] = []
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as top:
        sub = await top.start_supervisor(name="sub", intensity=actors.Intensity(restarts=0))
        ref = await start(sub, log, restart=actors.PERMANENT)
        await ref.tell("boom")
        await ref.tell(7)
        await wait_all_tasks_blocked()
        assert log == ["set up", "set up", 7]
        assert sub.ref is not None
        sub.ref.stop()
        await sub.ref.wait()
        assert ref.exit is not None


@pytest.mark.parametrize(
    ("how", "kind", "handled", "left"),
    [
        (lambda ref: ref.stop(), "stopped", [1, 2], []),
        (lambda ref: ref.stop(drain=False), "stopped", [1], [2]),
        (lambda ref: ref.cancel(), "cancelled", [1], [2]),
    ],
)
async def test_it_stops_after_the_message_in_hand(
    how: Any, kind: str, handled: list[int], left: list[int]
) -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        ref = await start(supervisor, log)

        def inside() -> None:
            ref.try_tell(2)
            how(ref)
            log.append(1)
            with pytest.raises(actors.ActorStopped):
                ref.try_tell(3)

        await ref.tell(inside)
        exit = await ref.wait()
    assert exit.kind.value == kind
    assert log == ["set up", *handled]
    assert [letter.message for letter in exit.dead_letters] == left


async def test_it_watches_and_is_watched() -> None:
    log: list[Any] = []

    def watcher(me: actors.InlineMe[str], other: actors.Ref[Any]) -> Callable[[str], None]:
        me.watch(other, lambda exit: f"{exit.name} {exit.kind.value}")
        return log.append

    async with actors.open_supervisor() as supervisor:
        other = await supervisor.start(actors.actor(keep, []), name="keep")
        ref = await supervisor.start(actors.inline(watcher, other), name="watcher")
        outer = await supervisor.start(actors.inline(watcher, ref))
        other.cancel()
        await other.wait()
        assert log == ["keep cancelled"]
        ref.stop()
        assert log == ["keep cancelled", "watcher stopped"]
        assert outer.exit is None


async def test_a_set_up_that_fails_is_a_failed_start() -> None:
    def broken(me: actors.InlineMe[str]) -> Callable[[str], None]:
        raise Boom

    def no_handler(me: actors.InlineMe[str]) -> Callable[[str], None]:
        return None  # type: ignore[return-value]

    async def waits(me: actors.InlineMe[str]) -> None:
        pass

    async with actors.open_supervisor() as supervisor:
        with pytest.raises(actors.StartFailed, match="Boom"):
            await supervisor.start(actors.inline(broken), name="x")
        with pytest.raises(actors.StartFailed, match="returns its handler"):
            await supervisor.start(actors.inline(no_handler), name="x")
        with pytest.raises(actors.StartFailed, match="returns its handler"):
            await supervisor.start(actors.inline(waits), name="x")  # type: ignore[arg-type]


async def test_a_restarted_run_is_set_up_with_the_context_variables_of_its_starter() -> None:
    variable = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    def fail_first(me: actors.InlineMe[int]) -> Callable[[int], None]:
        seen.append(variable.get())

        def handle(number: int) -> None:
            if number == 1:
                raise Boom

        return handle

    variable.set("the starter's")
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        ref = await supervisor.start(actors.inline(fail_first), restart=actors.TRANSIENT)
        variable.set("the sender's")
        await ref.tell(1)
        await wait_all_tasks_blocked()
        await ref.tell(2)
    assert seen == ["the starter's", "the starter's"]
