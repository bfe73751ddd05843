"""Fourteen scenarios, disturbed at every step under fifty schedules: by a cancellation, and by an actor that raises.

Locally, the schedules after the first are tried at every fourth step (other ones each time); where `CI` is set, at
every step.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import actors
from actors.testing import InjectedFault, cancel_at_every_step, fail_at_every_step
from tests.support.ledger import Ledger

STRIDE = 1 if os.environ.get("CI") else 4
PATIENT = actors.Intensity(restarts=2, seconds=1000.0)
WORLD_ENDS = (InjectedFault, actors.Escalated, actors.StartFailed, actors.SupervisorClosed)


def supervise(ledger: Ledger, **options: Any) -> Any:
    return actors.open_supervisor(
        on_failure=lambda ref, exit: None,
        on_dead_letter=ledger.bury,
        intensity=PATIENT,
        stop_timeout=1.0,
        **options,
    )


async def start(
    ledger: Ledger,
    supervisor: actors.Supervisor,
    function: Callable[[actors.Me[Any]], Awaitable[None]],
    **options: Any,
) -> actors.Ref[Any]:
    ref = await supervisor.start(actors.actor(function), **options)
    ledger.refs.append(ref)
    return ref


async def ask_in_flight(ledger: Ledger) -> None:
    async with supervise(ledger) as supervisor:
        ref = await start(ledger, supervisor, ledger.handle, restart=actors.PERMANENT)
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(ledger.ask, ref, number)
            nursery.start_soon(ledger.ask, ref, 3, 0.015)  # its deadline passes


async def full_mailbox(ledger: Ledger) -> None:
    async def sender(lane: int, ref: actors.Ref[Any]) -> None:
        for number in range(3):
            await ledger.send(ref, lane * 1000 + number)

    async with supervise(ledger) as supervisor:
        ref = await start(ledger, supervisor, ledger.handle, capacity=1, restart=actors.TRANSIENT)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender, 0, ref)
            nursery.start_soon(sender, 1, ref)


async def restart_in_progress(ledger: Ledger) -> None:
    runs: list[int] = []

    async def failing(me: actors.Me[Any]) -> None:
        runs.append(1)
        await trio.lowlevel.checkpoint()
        if len(runs) == 2:
            raise ValueError
        me.ready()
        async for message in me:
            ledger.begun.append(message)
            await trio.lowlevel.checkpoint()
            if message == 1:
                raise ValueError
            ledger.ended.append(message)

    async with supervise(ledger) as supervisor:
        ref = await start(ledger, supervisor, failing, restart=actors.PERMANENT)
        for number in range(4):
            await ledger.send(ref, number)


async def ordered_stop(ledger: Ledger) -> None:
    async def tidy(me: actors.Me[Any]) -> None:
        await ledger.handle(me)
        await trio.sleep(0.1)

    async with supervise(ledger) as supervisor:
        first = await start(ledger, supervisor, tidy, restart=actors.PERMANENT)
        second = await start(ledger, supervisor, tidy, restart=actors.TEMPORARY)
        for number in range(3):
            await ledger.send(first, number)
            await ledger.send(second, 1000 + number)
        second.stop()
        await ledger.send(second, 1999)
        await second.wait()


async def restart_of_all(ledger: Ledger) -> None:
    async def failing(me: actors.Me[Any]) -> None:
        async for message in me:
            ledger.begun.append(message)
            await trio.lowlevel.checkpoint()
            if message == 1000:
                raise ValueError
            ledger.ended.append(message)

    async with supervise(ledger, strategy=actors.ONE_FOR_ALL) as supervisor:
        first = await start(ledger, supervisor, ledger.handle, restart=actors.PERMANENT)
        second = await start(ledger, supervisor, failing, restart=actors.PERMANENT)
        for number in range(2):
            await ledger.send(first, number)
            await ledger.send(second, 1000 + number)
        await ledger.ask(first, 7)


async def started_soon(ledger: Ledger) -> None:
    """Told things before it could run, and taken along by a sibling that fails at once."""
    runs: list[int] = []

    async def failing(me: actors.Me[Any]) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError
        await ledger.handle(me)

    async with supervise(ledger, strategy=actors.ONE_FOR_ALL) as supervisor:
        for function in failing, ledger.handle:
            ref: actors.Ref[Any] = supervisor.start_soon(actors.actor(function), restart=actors.TRANSIENT)
            ledger.refs.append(ref)
        for number in range(3):
            await ledger.send(ref, number)
        await ledger.ask(ref, 7)


async def timers(ledger: Ledger) -> None:
    async def ticking(me: actors.Me[Any]) -> None:
        me.timers.start("again", 0.02, None, every=True)
        me.timers.start("never", 0.03, None)
        ticks = 0
        async for message in me:
            if message is None:
                ticks += 1
                me.timers.cancel("never")
                if ticks == 3:
                    return
            else:
                ledger.begun.append(message)
                ledger.ended.append(message)

    async with supervise(ledger) as supervisor:
        ref = await start(ledger, supervisor, ticking)
        for number in range(3):
            await ledger.send(ref, number)
        await ref.wait()


async def watch(ledger: Ledger) -> None:
    exits: list[actors.Exit] = []

    async def watcher(me: actors.Me[Any]) -> None:
        me.watch(watched, lambda exit: exit)
        async for exit in me:
            exits.append(exit)
            await trio.lowlevel.checkpoint()
            return

    async with supervise(ledger) as supervisor:
        watched = await start(ledger, supervisor, ledger.handle, restart=actors.TRANSIENT)
        other = await start(ledger, supervisor, watcher, restart=actors.TEMPORARY)
        await ledger.send(watched, 0)
        watched.stop()
        await other.wait()
        assert len(exits) <= 1
        # An actor that saw its own end in order has seen the other's.
        assert exits or other.exit is None or other.exit.kind is actors.ExitKind.FAILED


async def interrupts(ledger: Ledger) -> None:
    async def serving(me: actors.Me[Any]) -> None:
        async def handle(message: Any) -> None:
            ledger.begun.append(message)
            await trio.sleep(0.01)
            ledger.ended.append(message)

        await me.serve(handle)

    async with supervise(ledger) as supervisor:
        looping = await start(ledger, supervisor, ledger.handle, restart=actors.PERMANENT)
        other = await start(ledger, supervisor, serving, restart=actors.PERMANENT)
        for number in range(4):
            await ledger.send(looping, number)
            await ledger.send(other, 1000 + number)
            await trio.sleep(0.005)
            looping.interrupt()
            other.interrupt()
            await trio.lowlevel.checkpoint()


async def nested(ledger: Ledger) -> None:
    """A nested supervisor escalates, rests, and is run again with its children."""

    async def failing(me: actors.Me[Any]) -> None:
        async for message in me:
            ledger.begun.append(message)
            await trio.lowlevel.checkpoint()
            if message == 1000:
                raise ValueError
            ledger.ended.append(message)

    async with supervise(ledger) as supervisor:
        sub = await supervisor.start_supervisor(name="sub", intensity=actors.Intensity(restarts=0))
        first = await start(ledger, sub, ledger.handle, restart=actors.PERMANENT)
        second = await start(ledger, sub, failing, restart=actors.PERMANENT)
        for number in range(2):
            await ledger.send(second, 1000 + number)
            await ledger.send(first, number)
        await trio.sleep(0.1)


async def stopped_together(ledger: Ledger) -> None:
    """Siblings that tell each other, and an actor without a task, on their way down together."""
    refs: list[actors.Ref[Any]] = []

    async def forward(me: actors.Me[Any], to: int) -> None:
        async for message in me:
            ledger.begun.append(message)
            await trio.sleep(0.01)
            ledger.ended.append(message)
            if message < 1000:
                await ledger.send(refs[to], message + 1000 * (to + 1))
        await trio.sleep(0.02)

    async with supervise(ledger) as supervisor:
        for to in (1, 2, 0):
            spec = actors.actor(forward, to)
            ref = await supervisor.start(spec, restart=actors.PERMANENT)
            ledger.refs.append(ref)
            refs.append(ref)
        for number in range(6):
            await ledger.send(refs[0], number)


async def hanging_restart(ledger: Ledger) -> None:
    """The set-up of the second run hangs, until its start timeout ends it."""
    runs: list[int] = []

    async def hangs_once(me: actors.Me[Any]) -> None:
        runs.append(1)
        if len(runs) == 2:
            await trio.sleep_forever()
        async for message in me:
            ledger.begun.append(message)
            await trio.lowlevel.checkpoint()
            if message == 0:
                raise ValueError
            ledger.ended.append(message)

    async with supervise(ledger, strategy=actors.ONE_FOR_ALL, start_timeout=0.5) as supervisor:
        ref = await start(ledger, supervisor, hangs_once, restart=actors.PERMANENT)
        other = await start(ledger, supervisor, ledger.handle, restart=actors.PERMANENT)
        for number in range(2):
            await ledger.send(ref, number)
            await ledger.send(other, 1000 + number)
        await ledger.ask(other, 7)


async def without_a_task(ledger: Ledger) -> None:
    """An actor without a task fails and rests, while tasks that wait for room send to it."""

    def set_up(me: actors.InlineMe[Any]) -> Callable[[Any], None]:
        def handle(message: Any) -> None:
            ledger.begun.append(message)
            if message == 1:
                raise ValueError
            if message == 3:
                me.ref.try_tell(1000)
                ledger.sent.append(1000)
            ledger.ended.append(message)

        return handle

    async def teller(me: actors.Me[Any], ref: actors.Ref[Any]) -> None:
        me.ready()
        for number in range(2000, 2004):
            await ledger.send(ref, number)
            await trio.lowlevel.checkpoint()

    async with supervise(ledger) as supervisor:
        ref: actors.Ref[Any] = await supervisor.start(
            actors.inline(set_up), capacity=1, restart=actors.PERMANENT
        )
        ledger.refs.append(ref)
        await supervisor.start(actors.actor(teller, ref))
        for number in range(5):
            await ledger.send(ref, number)


async def telling_in_a_cycle(ledger: Ledger) -> None:
    """Two with full mailboxes tell each other: one gets an error, and nothing is lost."""
    refs: list[actors.Ref[Any]] = []

    async def player(me: actors.Me[Any], other: int) -> None:
        async for message in me:
            ledger.begun.append(message)
            await trio.lowlevel.checkpoint()
            for number in range(3) if message in (0, 1000) else ():
                try:
                    await ledger.send(refs[other], 2000 + 1000 * other + number)
                except actors.TellCycle:
                    break
            ledger.ended.append(message)

    async with supervise(ledger) as supervisor:
        for other in (1, 0):
            ref = await supervisor.start(actors.actor(player, other), capacity=1, restart=actors.TRANSIENT)
            ledger.refs.append(ref)
            refs.append(ref)
        await ledger.send(refs[0], 0)
        await ledger.send(refs[1], 1000)
        await trio.sleep(1)


SCENARIOS = [
    stopped_together,
    hanging_restart,
    without_a_task,
    telling_in_a_cycle,
    ask_in_flight,
    full_mailbox,
    restart_in_progress,
    ordered_stop,
    restart_of_all,
    started_soon,
    timers,
    watch,
    interrupts,
    nested,
]


def build(scenario: Callable[[Ledger], Awaitable[None]]) -> Callable[[], Any]:
    def fresh() -> tuple[Callable[[], Awaitable[None]], Callable[[], None]]:
        ledger = Ledger()

        async def run() -> None:
            try:
                await scenario(ledger)
            except WORLD_ENDS:
                pass
            except BaseExceptionGroup as group:  # a nursery of the scenario's own
                rest = group.split(WORLD_ENDS)[1]
                if rest is not None:
                    raise rest from None

        return run, ledger.check

    return fresh


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_breaks_when_it_is_cancelled_at_any_step(
    scenario: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    report = cancel_at_every_step(build(scenario), seeds=range(50), stride=STRIDE)
    with capsys.disabled():
        print(f"\n  {scenario.__name__}, cancelled: {report}", end="")
    assert report.points > 20


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_breaks_when_an_actor_raises_at_any_step(
    scenario: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    report = fail_at_every_step(build(scenario), seeds=range(50), stride=STRIDE)
    with capsys.disabled():
        print(f"\n  {scenario.__name__}, failed: {report}", end="")
    assert report.points > 20
