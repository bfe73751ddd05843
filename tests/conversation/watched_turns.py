"""The turns of a conversation with the simulated agent; `check` asserts the invariants after any step.

What the agent says lies on a wire first (`wire`), where it can be held back, repeated or lost.
"""

from __future__ import annotations

import json
from collections import Counter

from optio_agents.conversation.controls import ControlEnd
from optio_agents.conversation.requests import AgentRequest
from optio_agents.conversation.turns.effects import (
    ControlSettled,
    Effect,
    EndBackend,
    InterruptStarted,
    Offered,
    Receipted,
    SendEnded,
    Settled,
    TurnEnded,
)
from optio_agents.conversation.turns.owner_commands import CLOSED_EVENT, Turns
from optio_agents.conversation.turns.turn_state import TurnState
from optio_agents.conversation.values import (
    ConversationState,
    Event,
    Fate,
    InterruptKind,
    InterruptReceipt,
    Origin,
    SendEnd,
    TurnResult,
    TurnStatus,
)
from tests.support.simulated_agent import Record, SimulatedAgent, SimulatedCodec


class WatchedTurns:
    """Notes all that is done and said, passes it on, and checks what always holds."""

    def __init__(self, *, folds: bool, joins: bool = False) -> None:
        self.codec = SimulatedCodec()
        self.turn_state = TurnState(self.codec)
        self.turns = Turns(self.turn_state)
        self.agent = SimulatedAgent(folds=folds, joins=joins)
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
        self.requests: dict[int, AgentRequest] = {}
        self.settled: dict[int, str] = {}
        self.results: list[TurnResult] = []
        self.decided: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.lied_about: set[int] = set()  # sends
        self.changes: dict[int, str] = {}  # of the mode
        self.changed: dict[int, ControlEnd | None] = {}
        self.closed_events = 0
        self.interrupted_turns: set[int] = set()
        self.number = 0
        self.did(self.turns.start())

    def new_send(self, text: str) -> int:
        self.number += 1
        self.sends[self.number] = f"{text} #{self.number}"  # no two are equal
        return self.number

    def new_interrupt(self) -> int:
        self.number += 1
        self.interrupts.add(self.number)
        return self.number

    def named_turn(self, raw: Record) -> int | None:
        """The turn to which the agent itself says that a record belongs."""
        turn: int | None = self.codec.own.get(raw["own"]) if "own" in raw else raw.get("turn")
        return turn

    def hear(self, record: Record) -> None:
        if record.get("say") in ("asked", "questioned"):
            self.asked[record["key"]] += 1
        self.did(self.turns.receive(json.dumps(record).encode() + b"\n"))

    def did(self, effects: list[Effect]) -> list[Record]:
        """Note the effects, pass on what was written; returns it."""
        for effect in effects:
            match effect:
                case Event(raw=raw, turn=turn):
                    assert self.named_turn(raw) in (turn, None)  # nothing wanders into another turn
                    self.closed_events += raw.get("type") == CLOSED_EVENT
                case SendEnded(send=send, end=end):
                    assert send in self.sends
                    assert send not in self.ends
                    self.ends[send] = end
                    if end.turn is not None and end.turn.raw is not None and send not in self.lied_about:
                        # It gets the result of the turn in which the agent answered it (a lying agent does not say
                        # which).
                        assert send in end.turn.raw.get("answers", [send])
                case TurnEnded(result=result):
                    # It is ended by its own end, not by that of another turn.
                    assert result.raw is None or self.named_turn(result.raw) == result.turn
                    own = result.turn in {turn for name, turn in self.codec.own.items() if name[0] != "a"}
                    assert result.origin is (Origin.AGENT if own else Origin.OURS)
                    self.results.append(result)
                case Offered(number=number, request=request):
                    assert number not in self.offered
                    self.offered.append(number)
                    self.requests[number] = request
                case Settled(number=number, why=why):
                    assert number in self.offered
                    assert number not in self.settled
                    self.settled[number] = why
                case Receipted(interrupt=interrupt, receipt=receipt):
                    assert interrupt in self.interrupts
                    assert interrupt not in self.receipts
                    self.receipts[interrupt] = receipt
                case InterruptStarted(interrupt=interrupt):
                    self.deadlines.append(interrupt)
                case ControlSettled(change=change, end=control_end):
                    assert change in self.changes
                    assert change not in self.changed
                    self.changed[change] = control_end
                case EndBackend():
                    assert self.turn_state.closed is not None
        running = self.turn_state.running
        if running is not None and running.interrupting:
            self.interrupted_turns.add(running.number)
        written = [json.loads(line) for line in self.turn_state.codec.take_output().splitlines()]
        for record in written:
            self.note_written(record)
            self.wire += self.agent.hear(json.dumps(record).encode())
        return written

    def note_written(self, record: Record) -> None:
        if record["do"] == "prompt":
            assert self.turn_state.closed is None
            assert record["send"] not in self.prompted
            self.prompted[record["send"]] = record["turn"]
            self.prompt_order.append(record["send"])
            # Nothing runs beside it: what was steered has ended with its turn, or waits here again.
            queued = self.turn_state.queued
            for send in self.steered:
                assert send in self.ends or send in self.prompted or self.sends[send] in queued
        elif record["do"] == "steer":
            self.steered.append(record["send"])
        elif record["do"] == "set":
            # What the agent does not offer is not written, and nothing is before it has listed what it offers.
            assert self.turn_state.controls.known
            assert record["mode"] == self.changes[record["change"]] != "nonsense"
        elif record["do"] in ("decide", "answer", "cancel"):
            self.decided[record["key"]] += 1
            # Answered at most as often as it was asked: no answer is made up, none is given twice.
            assert self.decided[record["key"]] <= self.asked[record["key"]]

    # What always holds.

    def check(self) -> None:
        turn_state = self.turn_state
        open_permissions = set(self.offered) - set(self.settled)
        assert turn_state.pending == (len(self.ends) < len(self.sends))
        assert len({result.turn for result in self.results}) == len(self.results)
        # One prompt is outstanding at most, and it is that of the running turn.
        outstanding = [send for send in self.prompted if send not in self.ends]
        assert len(outstanding) <= 1
        assert turn_state.behind is None or turn_state.running is not None
        if turn_state.state is ConversationState.IDLE:
            assert turn_state.running is None
        if turn_state.closed is not None:
            assert turn_state.state is ConversationState.CLOSED
            assert not open_permissions
        if turn_state.state is ConversationState.AWAITING_PERMISSION:
            assert open_permissions
        if turn_state.state is ConversationState.RUNNING:
            assert not open_permissions
        order = [send for send in self.prompt_order if send in self.plain]
        assert order == sorted(order)
        for send, end in self.ends.items():
            if end.fate is Fate.UNSENT:
                assert send not in self.prompted
            elif end.fate is Fate.ANSWERED and send in self.prompted:
                assert end.turn is None or end.turn.origin is Origin.OURS
                assert end.turn is not None
                assert end.turn.turn == self.prompted[send]

    def finish(self) -> None:
        """The end of every history: the agent dies, and then nothing is open."""
        self.did(self.turns.gone("the end"))
        self.check()
        assert set(self.ends) == set(self.sends)
        assert set(self.receipts) == self.interrupts
        assert set(self.settled) == set(self.offered)
        assert set(self.changed) == set(self.changes)
        assert self.closed_events == 1
        assert not self.turn_state.pending
        assert self.turn_state.queued == ()
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
