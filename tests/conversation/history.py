"""A history of a conversation: what its owner and its agent do, and what goes wrong on the way.

A history is a string of bytes, and each byte is one step. So Hypothesis shrinks a failure to the few steps that
matter.
"""

from __future__ import annotations

from typing import Any

from optio_agents.conversation.requests import QuestionAnswer, QuestionRequest
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.values import ConversationState
from tests.conversation.watched_turns import WatchedTurns
from tests.support.simulated_agent import Record

TEXTS = [
    "say:a",
    "say:a say:b",
    "ask:x say:c",
    "hang",
    "fail",
    "ask:y ask:z",
    "",
    "later:say:w later:ask:v+say:u",
    "sub:s say:d",
    "question:q later:hang",
]


class History(WatchedTurns):
    """Runs one history, and checks after each step and at the end."""

    def step(self, what: int) -> None:
        """One step; the low bits say which, the high bits with what."""
        action, choice = STEPS[what % len(STEPS)], what // len(STEPS)
        action(self, choice)
        self.check()

    def send(self, choice: int) -> None:
        number = self.new_send(TEXTS[choice % len(TEXTS)])
        self.plain.append(number)
        self.did(self.turns.send(number, self.sends[number]))

    def steer(self, choice: int) -> None:
        number = self.new_send(TEXTS[choice % len(TEXTS)])
        self.did(self.turns.steer(number, self.sends[number]))

    def stop_and_send(self, choice: int) -> None:
        number = self.new_send(TEXTS[choice % len(TEXTS)])
        interrupt = self.new_interrupt()
        self.did(self.turns.stop_and_send(number, self.sends[number], interrupt, 1.0))
        # It is the next one, if it is not running or refused already.
        assert (
            number in self.prompted or number in self.ends or self.turn_state.queued[0] == self.sends[number]
        )

    def withdraw(self, choice: int) -> None:
        if self.sends:
            self.did(self.turns.withdraw(1 + choice % len(self.sends)))

    def give_up(self, choice: int) -> None:
        if self.sends:
            number = list(self.sends)[choice % len(self.sends)]
            self.did(self.turns.withdraw_or_interrupt(number, self.new_interrupt(), 1.0))

    def interrupt(self, choice: int) -> None:
        running, closed = self.turn_state.turn, self.turn_state.closed
        between = running is None and closed is None and len(self.turn_state.steering) > 0
        again = running in self.interrupted_turns
        interrupt = self.new_interrupt()
        written = self.did(self.turns.interrupt(interrupt, 1.0))
        if running is not None and closed is None:
            # It overtakes everything that waits: it was written at once, and the agent's own requests are closed.
            assert again or {"do": "interrupt"} in written
            assert self.turn_state.state is (
                ConversationState.INTERRUPTING if self.turn_state.ready else ConversationState.STARTING
            )
            open_requests = set(self.offered) - set(self.settled)
            for request in (self.requests[number] for number in open_requests):
                assert request.asker is not None or request.turn != running
        elif between:
            # It stops the turn that the agent may still make of what was steered.
            assert self.turn_state.state is (
                ConversationState.INTERRUPTING if self.turn_state.ready else ConversationState.STARTING
            )
        else:
            assert interrupt in self.receipts

    def expire(self, choice: int) -> None:
        if self.deadlines:
            interrupt = self.deadlines.pop(choice % len(self.deadlines))
            closed = self.turn_state.closed
            waited = interrupt not in self.receipts and closed is None
            self.did(self.turns.interrupt_expired(interrupt))
            if waited:
                assert self.interrupts == set(self.receipts)
                assert self.turn_state.closed is not None
            else:
                assert self.turn_state.closed == closed  # the deadline of what has its receipt says nothing

    def decide(self, choice: int) -> None:
        if self.offered:
            number = self.offered[choice % len(self.offered)]
            stale = number in self.settled
            if isinstance(self.requests[number], QuestionRequest):
                answer = QuestionAnswer({"q": "yes"}) if choice % 2 else QuestionAnswer.declined()
                written = self.did(self.turns.answer(number, answer))
                assert self.turns.decide(number, PermissionDecision("allow")) == []
            else:
                behavior: Any = "allow" if choice % 2 else "deny"
                written = self.did(self.turns.decide(number, PermissionDecision(behavior)))
            assert stale == (written == [])

    def set_mode(self, choice: int) -> None:
        """Set the one control that the agent has, to what it offers, to what it refuses, or to nonsense."""
        self.did(self.turns.list_controls())
        self.number += 1
        self.changes[self.number] = ["ask", "plan", "root", "nonsense"][choice % 4]
        self.did(self.turns.set_control(self.number, "permission_mode", self.changes[self.number]))

    def close(self, choice: int) -> None:
        if choice % 3:
            return
        self.did(self.turns.close())
        assert self.turn_state.state is ConversationState.CLOSED

    def agent_works(self, choice: int) -> None:
        """The agent prints some more output, which is not read yet."""
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

    def wake(self, choice: int) -> None:
        """The agent begins a turn by itself."""
        self.wire += self.agent.wake(TEXTS[choice % len(TEXTS)])

    def take_back(self, choice: int) -> None:
        """A subagent does not need its answer any more."""
        self.wire += self.agent.withdraw()

    def swap(self, choice: int) -> None:
        """Two records change places."""
        if len(self.wire) > 1:
            place = choice % (len(self.wire) - 1)
            self.wire[place], self.wire[place + 1] = self.wire[place + 1], self.wire[place]

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
            {"say": "woke", "own": f"lie{choice}"},
            {"say": "ended", "own": f"w{turn}", "status": "completed", "text": "a lie"},
            {"say": "set", "change": choice % 40, "reason": None},
            {"say": "something new"},
        ]
        lie = lies[choice % len(lies)]
        self.lied_about |= {lie["send"]} if "send" in lie else set()
        self.hear(lie)

    def die(self, choice: int) -> None:
        if choice % 4 == 0:
            self.did(self.turns.gone("it died"))


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
    History.wake,
    History.flow,
    History.swap,
    History.take_back,
    History.set_mode,
    History.lie,
    History.close,
    History.die,
]


def run(steps: bytes) -> History:
    """One history from its first step to the death of its agent; fails where something does not hold."""
    history = History(folds=len(steps) % 3 != 0, joins=len(steps) % 2 == 0)
    for step in steps:
        history.step(step)
    history.finish()
    return history
