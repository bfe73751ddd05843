"""The mailbox and the supervisor against models of them, driven by Hypothesis."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import actors
from actors.errors import ActorStopped, MailboxFull
from actors.intensity import Intensity, RestartHistory
from actors.mailbox import NOTHING, Mailbox, Overflow
from actors.testing import run_seeded

Overflows = st.sampled_from(list(Overflow))


class Silent:
    """A mailbox's owner that only notes what is dropped."""

    name = "m"

    @property
    def ref(self) -> actors.TracedActor:
        return self

    def about_to_block(self, task: object) -> None:
        return None

    def __init__(self) -> None:
        self.lost: list[int] = []

    def receiving(self) -> None:
        pass

    def drained(self) -> None:
        pass

    def dropped(self, message: int, why: str) -> None:
        self.lost.append(message)


def step(coroutine: Any) -> Any:
    """Run a coroutine that must not block, to its end, without a scheduler."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it blocked")


class MailboxMachine(RuleBasedStateMachine):
    """The two lanes of a mailbox behave as two plain queues, as long as no task has to wait."""

    @initialize(capacity=st.integers(1, 4), overflow=Overflows, traced=st.booleans())
    def begin(self, capacity: int, overflow: Overflow, traced: bool) -> None:
        self.owner = Silent()
        self.box: Mailbox[int] = Mailbox(
            "m", capacity, overflow, self.owner, actors.Hooks() if traced else None
        )
        self.user: deque[int] = deque()
        self.system: deque[int] = deque()
        self.lost: list[int] = []
        self.open = True
        self.ending = False
        self.number = 0
        self.accepted = 0

    @rule()
    def send(self) -> None:
        self.number += 1
        box, full = self.box, len(self.user) == self.box.capacity
        if not self.open:
            with pytest.raises(ActorStopped):
                box.put_nowait(self.number)
        elif full and box.overflow in (Overflow.BLOCK, Overflow.REJECT):
            with pytest.raises(MailboxFull):
                box.put_nowait(self.number)
        else:
            box.put_nowait(self.number)
            self.accepted += 1
            if full and box.overflow is Overflow.DROP_NEWEST:
                self.lost.append(self.number)
                return
            if full:
                self.lost.append(self.user.popleft())
            self.user.append(self.number)

    @rule()
    def notify(self) -> None:
        self.number += 1
        self.box.notify(self.number, lambda number=self.number: number)  # type: ignore[misc]
        self.system.append(self.number)

    @precondition(lambda self: self.system or self.user or not self.open or self.ending)
    @rule(times=st.integers(1, 5))
    def receive(self, times: int) -> None:
        for _ in range(times):
            wanted: int = NOTHING
            if not self.ending and self.system:
                wanted = self.system.popleft()
            elif not self.ending and self.user:
                wanted = self.user.popleft()
            elif self.open and not self.ending:
                return  # it would wait
            if wanted is NOTHING:  # the end of a mailbox is a checkpoint
                assert trio.run(self.box.receive) is wanted
                continue
            self.box._left = 64  # a checkpoint needs a scheduler, and is not the subject here
            assert step(self.box.receive()) is wanted

    @precondition(lambda self: self.user and not self.system and not self.ending)
    @rule(limit=st.integers(1, 5))
    def receive_batch(self, limit: int) -> None:
        self.box._left = 64
        batch = step(self.box.receive_batch(limit))
        assert batch == [self.user.popleft() for _ in range(min(limit, len(self.user)))]
        assert self.box.messages_in_hand() == batch

    @rule()
    def close(self) -> None:
        self.box.close()
        self.open = False

    @rule()
    def end(self) -> None:
        self.box.ending = True
        self.box.look_around()
        self.ending = True

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "box"):
            return
        assert self.box.messages() == list(self.user)
        assert self.owner.lost == self.lost
        assert (self.box.accepted, self.box.dropped) == (self.accepted, len(self.lost))
        assert len(self.box.queue) <= self.box.capacity


TestMailboxModel = MailboxMachine.TestCase
TestMailboxModel.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


# -- the history of many senders, one receiver, and every kind of end

Deed = tuple[str, int]
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2)),
        st.tuples(st.just("interrupt"), st.just(0)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 3)),
    ),
    max_size=25,
)
endings = st.sampled_from(["stop", "stop at once", "cancel", "leave"])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deeds, endings, Overflows, st.integers(1, 3), st.integers(0, 2**32))
def test_no_message_is_lost_without_a_dead_letter_handled_twice_or_reordered(
    history: list[Deed], ending: str, overflow: Overflow, capacity: int, seed: int
) -> None:
    sent: list[tuple[int, int]] = []
    begun: list[tuple[int, int]] = []
    ended: list[tuple[int, int]] = []
    buried: list[tuple[int, int]] = []

    async def handler(me: actors.Me[Any]) -> None:
        async for message in me:
            if message == "fail":
                raise ValueError
            begun.append(message)
            await trio.sleep(message[1] % 3)
            ended.append(message)

    async def sender(lane: int, numbers: list[int], ref: actors.Ref[Any]) -> None:
        for number in numbers:
            try:
                await ref.tell((lane, number))
            except (actors.ActorStopped, actors.MailboxFull):
                continue
            sent.append((lane, number))

    def bury(letter: actors.DeadLetter) -> None:
        if letter.message != "fail":
            buried.append(letter.message)

    async def main() -> None:
        async with (
            actors.open_supervisor(
                on_failure=lambda ref, exit: None,
                on_dead_letter=bury,
                intensity=Intensity(50, 1.0),
                stop_timeout=3.0,
            ) as supervisor,
            trio.open_nursery() as nursery,
        ):
            ref = await supervisor.start(
                actors.actor(handler), capacity=capacity, overflow=overflow, restart=actors.PERMANENT
            )
            for lane in range(3):
                numbers = [i for i, (deed, which) in enumerate(history) if deed == "send" and which == lane]
                nursery.start_soon(sender, lane, numbers, ref)
            for deed, number in history:
                if deed == "interrupt":
                    ref.interrupt()
                elif deed == "fail":
                    with contextlib.suppress(actors.MailboxFull):
                        ref.try_tell("fail")
                elif deed == "wait":
                    await trio.sleep(number)
            if ending == "stop":
                ref.stop()
            elif ending == "stop at once":
                ref.stop(drain=False)
            elif ending == "cancel":
                ref.cancel()

    with contextlib.suppress(actors.Escalated):  # a failure while it drains
        run_seeded(main, seed=seed)
    assert len(set(begun)) == len(begun), "handled twice"
    assert len(set(buried)) == len(buried), "buried twice"
    for message in sent:
        assert (message in ended) + (message in buried) == 1, f"{message} has no fate, or two"
    assert set(begun) - set(ended) <= set(buried), "cut off without a dead letter"
    for lane in range(3):
        order = [number for which, number in begun if which == lane]
        assert order == sorted(order), f"the messages of sender {lane} were reordered"


# -- the supervisor

deeds_to_children = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["fail", "finish", "stop"]), st.integers(0, 5)),
        st.tuples(st.just("start"), st.sampled_from(list(actors.Restart))),
        st.tuples(st.just("sleep"), st.floats(0.0, 3.0)),
    ),
    max_size=20,
)


class SupervisorModel:
    """What a supervisor is expected to do, without any concurrency. Children are numbers, in start order."""

    def __init__(self, strategy: actors.Strategy, intensity: Intensity) -> None:
        self.strategy = strategy
        self.history = RestartHistory(intensity)
        self.policies: list[actors.Restart] = []
        self.alive: list[int] = []
        self.runs: list[int] = []
        self.culprit = -1  # whose end escalates

    def start(self, policy: actors.Restart) -> None:
        self.alive.append(len(self.policies))
        self.policies.append(policy)
        self.runs.append(1)

    def end(self, child: int, kind: actors.ExitKind, now: float) -> None:
        if not self.policies[child].after(kind):
            self.alive.remove(child)
        elif self.history.record(now) is None:
            self.culprit = child
        else:
            for other in self.strategy.affected(self.alive, child):
                if self.policies[other] is actors.TEMPORARY:
                    self.alive.remove(other)
                else:
                    self.runs[other] += 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deeds_to_children, st.sampled_from(list(actors.Strategy)), st.integers(0, 4), st.integers(0, 2**32))
def test_a_supervisor_restarts_and_escalates_exactly_as_the_model_says(
    deeds: list[tuple[str, Any]], strategy: actors.Strategy, restarts: int, seed: int
) -> None:
    intensity = Intensity(restarts, 4.0)
    model = SupervisorModel(strategy, intensity)
    runs: list[int] = []
    refs: list[actors.Ref[str]] = []

    async def child(me: actors.Me[str], number: int) -> None:
        runs[number] += 1
        async for message in me:
            if message == "fail":
                raise ValueError
            return

    async def do(supervisor: actors.Supervisor, deed: str, what: Any) -> None:
        if deed == "sleep":
            await trio.sleep(what)
        elif deed == "start":
            runs.append(0)
            model.start(what)
            refs.append(
                await supervisor.start(actors.actor(child, len(refs)), name=str(len(refs)), restart=what)
            )
        elif what in model.alive:
            now = trio.current_time()
            if deed == "stop":
                refs[what].stop()
                model.end(what, actors.ExitKind.STOPPED, now)
            else:
                refs[what].try_tell(deed)
                kind = actors.ExitKind.FAILED if deed == "fail" else actors.ExitKind.FINISHED
                model.end(what, kind, now)

    async def main() -> None:
        async with actors.open_supervisor(
            strategy=strategy, intensity=intensity, on_failure=lambda ref, exit: None
        ) as supervisor:
            for deed, what in deeds:
                await do(supervisor, deed, what)
                await trio.testing.wait_all_tasks_blocked()
                assert model.culprit == -1, "it should have escalated"
                assert runs == model.runs
                assert [int(ref.name) for ref in supervisor.children] == model.alive

    culprit = -1
    try:
        run_seeded(main, seed=seed)
    except actors.Escalated as escalated:
        culprit = int(escalated.child)
    assert culprit == model.culprit
    assert all(ref.exit is not None for ref in refs)
