"""A program that uses every public name of `actors`, as users would: both type checkers must accept it, and it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

import actors
from actors.testing import (
    InjectedFault,
    Point,
    Probe,
    StepReport,
    cancel_at_every_step,
    fail_at_every_step,
    no_leaks,
    run_seeded,
)


@dataclass(frozen=True)
class Count(actors.Question[int]):
    word: str


@dataclass(frozen=True)
class Legacy:
    word: str
    reply: actors.Reply[str]


@dataclass(frozen=True)
class Gone:
    exit: actors.Exit


Message = Count | Legacy | Gone | str


async def counter(me: actors.Me[Message], other: actors.Ref[str] | None = None) -> None:
    counts: dict[str, int] = {}
    timers: actors.Timers[Message] = me.timers
    timers.start("tick", 60.0, "tick", every=True, fixed_rate=True)
    if other is not None:
        me.watch(other, Gone)
    me.ready(len(counts))
    async for message in me:
        match message:
            case Count(word, reply=reply):
                reply.set(counts.get(word, 0))
            case Legacy(word, reply):
                reply.set(word)
            case Gone(exit):
                assert exit.kind in actors.ExitKind
            case str(word):
                counts[word] = counts.get(word, 0) + 1
    with me.cleanup():
        await trio.lowlevel.checkpoint()


async def batches(me: actors.Me[str]) -> None:
    try:
        while not me.stopping:
            for _ in await me.receive_batch(8):
                pass
    except actors.EndOfMailbox:
        return


async def serving(me: actors.Me[str]) -> None:
    async def handle(message: str) -> None:
        if message == "fail":
            raise ValueError(message)

    await me.serve(handle)


def lengths(me: actors.InlineMe[str | Count], log: list[int]) -> Callable[[str | Count], None]:
    def handle(message: str | Count) -> None:
        if isinstance(message, Count):
            message.reply.set(len(log))
        else:
            log.append(len(message))

    return handle


class Counting(actors.Hooks):
    def __init__(self) -> None:
        self.seen = 0

    def sent(self, actor: actors.TracedActor, message: object) -> str:
        self.seen += 1
        return actor.name

    def moved(
        self, actor: actors.TracedActor, before: actors.State, after: actors.State, exit: actors.Exit | None
    ) -> None:
        assert before is not after


ERRORS: tuple[type[actors.ActorError], ...] = (
    actors.ActorFailed, actors.ActorStopped, actors.AlreadyReady, actors.AlreadyReceiving, actors.AskTimeout,
    actors.Escalated, actors.Interrupted, actors.MailboxFull, actors.MessageDropped, actors.NameTaken, actors.SelfAsk,
    actors.SelfTell, actors.SelfWait, actors.StartFailed, actors.StartTimeout, actors.SupervisorClosed,
    actors.TellCycle, actors.WrongThread,
)  # fmt: skip


async def main() -> None:
    letters: list[actors.DeadLetter] = []
    failures: list[str] = []
    log: list[int] = []

    def report(ref: actors.Ref[str], exit: actors.Exit) -> None:
        failures.append(f"{ref.name} {exit.describe()}")
        exit.drop_traceback()

    intensity = actors.Intensity(3, 5.0, actors.Backoff(first=0.1, jitter=0.1), causes=(ValueError,))
    async with actors.open_supervisor(
        name="top",
        strategy=actors.REST_FOR_ONE,
        intensity=intensity,
        stop_timeout=5.0,
        start_timeout=30.0,
        on_failure=report,
        on_dead_letter=letters.append,
        hooks=Counting(),
    ) as top:
        supervisor: actors.Supervisor = await top.start_supervisor(name="sub", strategy=actors.ONE_FOR_ALL)
        calm = await top.start_supervisor(
            name="calm",
            strategy=actors.Strategy.ONE_FOR_ONE,
            intensity=actors.Intensity(backoff=actors.NO_BACKOFF),
        )
        assert actors.Strategy.ONE_FOR_ONE is actors.ONE_FOR_ONE
        probe = await Probe[str].start(calm)
        spec: actors.Spec[Message] = actors.actor(counter, other=probe.ref)
        ref = await supervisor.start(spec, restart=actors.PERMANENT, overflow=actors.Overflow.BLOCK)
        await ref.tell("word")
        count = await ref.ask(Count("word"), timeout=5)
        assert count + 1 == 2
        text: str = await ref.ask(_legacy, timeout=5)
        assert text.upper() == "OLD"
        narrower: actors.Ref[str] = ref
        narrower.try_tell("more")
        server = calm.start_soon(actors.actor(serving), restart=actors.Restart.TRANSIENT)
        await server.tell("fail")
        await calm.start(actors.actor(batches), restart=actors.TEMPORARY, capacity=8)
        without: actors.InlineSpec[str | Count] = actors.inline(lengths, log)
        inline = await calm.start(without, restart=actors.TRANSIENT)
        await inline.tell("five!")
        assert await inline.ask(Count("any"), timeout=5) == 1
        statistics: actors.Statistics = inline.statistics()
        assert statistics.taken == 2
        assert "calm" in actors.tree()
        await probe.ref.tell("x")
        assert await probe.expect("x") == "x"
        assert not server.interrupt("nothing runs")
        ref.stop("done")
        exit = await ref.wait()
        assert exit.kind is actors.ExitKind.STOPPED
        assert ref.state is actors.State.ENDED
        assert ref.ready_value == 0
        server.cancel("done")
    assert len(failures) == 1
    assert not letters or letters[0].message == "fail"


def _legacy(reply: actors.Reply[str]) -> Legacy:
    return Legacy("old", reply)


async def nothing() -> None:
    await trio.lowlevel.checkpoint()


def steps() -> tuple[StepReport, StepReport]:
    def build() -> tuple[Callable[[], Awaitable[object]], Callable[[], None]]:
        return nothing, lambda: None

    with no_leaks():
        return cancel_at_every_step(build, seeds=[0]), fail_at_every_step(build, seeds=[0])


KIT = (InjectedFault, Point)

if __name__ == "__main__":
    run_seeded(main, seed=0)
