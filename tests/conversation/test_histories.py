"""What always holds of a conversation, over histories in which a backend's words come late, twice, swapped
or never.

A history is a string of bytes; each byte is one step: something the owner does, something the agent says,
or something that goes wrong on the way. So Hypothesis shrinks a failure to the few steps that matter, and a
thousand histories take about a second. In continuous integration there are 10,000 of them.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optio_agents.conversation.effects import (
    Effect,
    EndBackend,
    InterruptStarted,
    Offered,
    Receipted,
    SendEnded,
    Settled,
    TurnEnded,
)
from optio_agents.conversation.standing import Standing
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.turns import CLOSED_EVENT, Turns
from optio_agents.conversation.values import (
    Event,
    Fate,
    InterruptKind,
    InterruptReceipt,
    SendEnd,
    State,
    TurnResult,
    TurnStatus,
)
from tests.support.simulated_agent import Record, SimulatedAgent, SimulatedCodec

HISTORIES = 10_000 if os.environ.get("CI") else 1_000
TEXTS = ["say:a", "say:a say:b", "ask:x say:c", "hang", "fail", "ask:y ask:z", ""]


class History:
    """Runs one history and checks, after each step and at the end, what always holds."""

    def __init__(self, *, folds: bool) -> None:
        self.standing = Standing(SimulatedCodec())
        self.turns = Turns(self.standing)
        self.agent = SimulatedAgent(folds=folds)
        self.wire: list[Record] = []  # said by the agent, not delivered yet
        self.sends: dict[int, str] = {}
        self.ends: dict[int, SendEnd] = {}
        self.prompted: dict[int, int] = {}  # send: turn
        self.prompt_order: list[int] = []
        self.steered: list[int] = []  # sends that were written into a running turn
        self.plain: list[int] = []  # sends that went to the back of the queue
        self.interrupts: set[int] = set()
        self.receipts: dict[int, InterruptReceipt | None] = {}
        self.deadlines: list[int] = []
        self.offered: list[int] = []
        self.settled: dict[int, str] = {}
        self.results: list[TurnResult] = []
        self.decided: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.closed_events = 0
        self.interrupted_turns: set[int] = set()
        self.number = 0
        self.did(self.turns.start())

    # Steps.

    def step(self, what: int) -> None:
        """One step; the low bits say which, the high bits with what."""
        action, choice = STEPS[what % len(STEPS)], what // len(STEPS)
        action(self, choice)
        self.check()

    def send(self, choice: int) -> None:
        number = self.new_send(choice)
        self.plain.append(number)
        self.did(self.turns.send(number, self.sends[number]))

    def steer(self, choice: int) -> None:
        number = self.new_send(choice)
        self.did(self.turns.steer(number, self.sends[number]))

    def stop_and_send(self, choice: int) -> None:
        number, interrupt = self.new_send(choice), self.new_interrupt()
        self.did(self.turns.stop_and_send(number, self.sends[number], interrupt, 1.0))
        # It is the next one, if it is not running or refused already.
        assert number in self.prompted or number in self.ends or self.standing.queued[0] == self.sends[number]

    def withdraw(self, choice: int) -> None:
        if self.sends:
            self.did(self.turns.withdraw(1 + choice % len(self.sends)))

    def give_up(self, choice: int) -> None:
        if self.sends:
            number = list(self.sends)[choice % len(self.sends)]
            self.did(self.turns.withdraw_or_interrupt(number, self.new_interrupt(), 1.0))

    def interrupt(self, choice: int) -> None:
        running, closed = self.standing.turn, self.standing.closed
        between = running is None and self.standing.state in (State.RUNNING, State.INTERRUPTING)
        again = running in self.interrupted_turns
        interrupt = self.new_interrupt()
        written = self.did(self.turns.interrupt(interrupt, 1.0))
        if running is not None and closed is None:
            # It overtakes whatever waits: it was written at once, and no permission is open any more.
            assert again or {"do": "interrupt"} in written
            assert self.standing.state is State.INTERRUPTING
            assert set(self.offered) == set(self.settled)
        elif between:
            # It stops the turn that the agent may still make of what was steered.
            assert self.standing.state is State.INTERRUPTING
        else:
            assert interrupt in self.receipts

    def expire(self, choice: int) -> None:
        if self.deadlines:
            interrupt = self.deadlines.pop(choice % len(self.deadlines))
            closed = self.standing.closed
            waited = interrupt not in self.receipts and closed is None
            self.did(self.turns.interrupt_expired(interrupt))
            if waited:
                assert self.interrupts == set(self.receipts)
                assert self.standing.closed is not None
            else:
                assert self.standing.closed == closed  # the deadline of what has its receipt says nothing

    def decide(self, choice: int) -> None:
        if self.offered:
            permission = self.offered[choice % len(self.offered)]
            stale = permission in self.settled
            behavior: Any = "allow" if choice % 2 else "deny"
            written = self.did(self.turns.decide(permission, PermissionDecision(behavior)))
            assert stale == (written == [])

    def close(self, choice: int) -> None:
        if choice % 3:
            return
        self.did(self.turns.close())
        assert self.standing.state is State.CLOSED

    def agent_works(self, choice: int) -> None:
        """The agent goes on by a few words, and nobody hears it yet."""
        for _ in range(1 + choice % 3):
            self.wire += self.agent.step()

    def deliver(self, choice: int) -> None:
        for record in self.wire[: 1 + choice % 4]:
            self.wire.remove(record)
            self.hear(record)

    def flow(self, choice: int) -> None:
        """Everything goes well for a while."""
        self.deliver(3)
        self.agent_works(choice)
        self.deliver(3)

    def deliver_late(self, choice: int) -> None:
        if self.wire:
            self.hear(self.wire.pop(choice % len(self.wire)))

    def deliver_twice(self, choice: int) -> None:
        if self.wire:
            self.hear(self.wire[choice % len(self.wire)])

    def lose(self, choice: int) -> None:
        if self.wire:
            self.wire.pop(choice % len(self.wire))

    def lie(self, choice: int) -> None:
        turn = 1 + choice % 4
        lies: list[Record] = [
            {"say": "ended", "turn": turn, "status": "completed", "text": "a lie"},
            {"say": "began", "turn": turn},
            {"say": "asked", "key": f"lie{choice}", "turn": turn, "tool": "t", "input": {}},
            {"say": "acknowledged", "turn": turn},
            {"say": "folded", "send": turn, "turn": turn},
            {"say": "refused", "send": turn, "reason": "a lie", "lost_race": choice % 2 == 0},
            {"say": "withdrawn", "key": f"p{turn}"},
            {"say": "something new"},
        ]
        self.hear(lies[choice % len(lies)])

    def die(self, choice: int) -> None:
        if choice % 4 == 0:
            self.did(self.turns.gone("it died"))

    # Bookkeeping.

    def new_send(self, choice: int) -> int:
        self.number += 1
        self.sends[self.number] = f"{TEXTS[choice % len(TEXTS)]} #{self.number}"  # no two are equal
        return self.number

    def new_interrupt(self) -> int:
        self.number += 1
        self.interrupts.add(self.number)
        return self.number

    def hear(self, record: Record) -> None:
        if record.get("say") == "asked":
            self.asked[record["key"]] += 1
        self.did(self.turns.receive(json.dumps(record).encode() + b"\n"))

    def did(self, effects: list[Effect]) -> list[Record]:
        """Note the effects, pass on what was written; returns it."""
        for effect in effects:
            match effect:
                case Event(raw=raw, turn=turn):
                    assert raw.get("turn") in (turn, None)  # nothing wanders into another turn
                    self.closed_events += raw.get("type") == CLOSED_EVENT
                case SendEnded(send=send, end=end):
                    assert send in self.sends
                    assert send not in self.ends
                    self.ends[send] = end
                case TurnEnded(result=result):
                    # It is ended by its own end, not by that of another turn.
                    assert result.raw is None or result.raw["turn"] == result.turn
                    self.results.append(result)
                case Offered(permission=permission):
                    assert permission not in self.offered
                    assert self.standing.turn not in self.interrupted_turns
                    self.offered.append(permission)
                case Settled(permission=permission, why=why):
                    assert permission in self.offered
                    assert permission not in self.settled
                    self.settled[permission] = why
                case Receipted(interrupt=interrupt, receipt=receipt):
                    assert interrupt in self.interrupts
                    assert interrupt not in self.receipts
                    self.receipts[interrupt] = receipt
                case InterruptStarted(interrupt=interrupt):
                    self.deadlines.append(interrupt)
                case EndBackend():
                    assert self.standing.closed is not None
        if self.standing.turn is not None and self.standing.state is State.INTERRUPTING:
            self.interrupted_turns.add(self.standing.turn)
        written = [json.loads(line) for line in self.standing.codec.take_output().splitlines()]
        for record in written:
            self.note_written(record)
            self.wire += self.agent.hear(json.dumps(record).encode())
        return written

    def note_written(self, record: Record) -> None:
        if record["do"] == "prompt":
            assert self.standing.closed is None
            assert record["send"] not in self.prompted
            self.prompted[record["send"]] = record["turn"]
            self.prompt_order.append(record["send"])
            # Nothing runs beside it: what was steered has ended with its turn, or waits here again.
            queued = self.standing.queued
            for send in self.steered:
                assert send in self.ends or send in self.prompted or self.sends[send] in queued
        elif record["do"] == "steer":
            self.steered.append(record["send"])
        elif record["do"] in ("decide", "cancel"):
            self.decided[record["key"]] += 1
            # Answered at most as often as it was asked: no answer is made up, none is given twice.
            assert self.decided[record["key"]] <= self.asked[record["key"]]

    # What always holds.

    def check(self) -> None:
        standing = self.standing
        open_permissions = set(self.offered) - set(self.settled)
        assert standing.pending == (len(self.ends) < len(self.sends))
        assert len({result.turn for result in self.results}) == len(self.results)
        # One prompt is outstanding at most, and it is that of the running turn.
        outstanding = [send for send in self.prompted if send not in self.ends]
        assert len(outstanding) <= 1
        if standing.closed is not None:
            assert standing.state is State.CLOSED
            assert not open_permissions
        if standing.turn is None:
            assert not open_permissions
        if standing.state is State.AWAITING_PERMISSION:
            assert open_permissions
        if standing.state is State.RUNNING:
            assert not open_permissions
        order = [send for send in self.prompt_order if send in self.plain]
        assert order == sorted(order)
        for send, end in self.ends.items():
            if end.fate is Fate.UNSENT:
                assert send not in self.prompted
            elif end.fate is Fate.ANSWERED and send in self.prompted:
                assert end.turn is not None
                assert end.turn.turn == self.prompted[send]

    def finish(self) -> None:
        """The end of every history: the agent dies, and then nothing is open."""
        self.did(self.turns.gone("the end"))
        self.check()
        assert set(self.ends) == set(self.sends)
        assert set(self.receipts) == self.interrupts
        assert set(self.settled) == set(self.offered)
        assert self.closed_events == 1
        assert not self.standing.pending
        assert self.standing.queued == ()
        for receipt in self.receipts.values():
            if receipt is not None and receipt.turn is not None:
                assert receipt.turn.status is not TurnStatus.LOST
            if receipt is not None and receipt.kind is InterruptKind.INTERRUPTED and receipt.turn is not None:
                assert receipt.turn.status is TurnStatus.INTERRUPTED
        # Idempotent, all of it.
        assert self.turns.gone("again") == []
        assert self.turns.close() == []
        assert self.turns.fail("again") == []
        (ended,) = self.turns.send(10**6, "late")
        assert isinstance(ended, SendEnded)
        assert ended.end.fate is Fate.UNSENT
        assert self.turns.interrupt(10**6, 1.0) == [Receipted(10**6, None)]


STEPS = [
    History.flow,
    History.send,
    History.flow,
    History.decide,
    History.flow,
    History.steer,
    History.deliver,
    History.interrupt,
    History.agent_works,
    History.flow,
    History.send,
    History.stop_and_send,
    History.flow,
    History.deliver_late,
    History.decide,
    History.deliver_twice,
    History.flow,
    History.withdraw,
    History.lose,
    History.expire,
    History.give_up,
    History.lie,
    History.close,
    History.die,
]


def run(steps: bytes) -> History:
    history = History(folds=len(steps) % 3 != 0)
    for step in steps:
        history.step(step)
    history.finish()
    return history


def test_what_always_holds_whatever_the_backend_does() -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=HISTORIES,
        deadline=None,
        database=None,
        derandomize=not os.environ.get("CI"),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
    )
    @given(st.binary(min_size=20, max_size=300))
    def histories(steps: bytes) -> None:
        history = run(steps)
        seen["histories"] += 1
        seen.update(end.fate.name for end in history.ends.values())
        seen.update(receipt.kind.name for receipt in history.receipts.values() if receipt is not None)
        seen.update(result.status.name for result in history.results)
        seen.update(history.settled.values())

    histories()
    print(dict(seen))
    assert seen["histories"] >= HISTORIES
    # The histories reach everything that can happen, not only its beginning.
    reached = {"ANSWERED", "FOLDED", "REJECTED", "UNSENT", "INTERRUPTED", "FINISHED", "NOTHING_RUNNING"}
    reached |= {"UNANSWERED", "COMPLETED", "FAILED", "LOST", "answered", "interrupted", "withdrawn", "closed"}
    assert reached <= set(seen)
