"""How a conversation stands: what runs, what waits, what is asked; and the steps that every change is made of.

Two change it: the commands of its owner (`turns.py`) and the rules for what the backend says (`rules.py`). Both
are made of the steps here, so that what always holds (see `turns.py`) is kept in one place. A step returns what
must be done, in order; what it has to say to the backend is in the codec's output.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.turns.effects import Effect, EndBackend, SendEnded
from optio_agents.conversation.turns.pending_permissions import PendingPermissions
from optio_agents.conversation.turns.running_turn import RunningTurn
from optio_agents.conversation.turns.steering import Steering
from optio_agents.conversation.values import Fate, SendEnd, State, TurnResult, TurnStatus


class Queued(NamedTuple):
    """A send that was not written yet."""

    send: int
    text: str


class TurnState:
    """What is true of one conversation now. The fields are for the commands and the rules; others read only."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.session: str | None = None
        """What a later process resumes."""
        self.ready = False
        """The backend takes prompts."""
        self.closed: str | None = None
        """Why the conversation ends; set once its end has begun."""
        self.over = False
        """The backend is gone, too."""
        self.running: RunningTurn | None = None
        self.last: TurnResult | None = None
        self.queue: deque[Queued] = deque()
        """The next one first."""
        self.steering = Steering()
        self.permissions = PendingPermissions(codec)

    @property
    def state(self) -> State:
        """The visible state; derived, so that it cannot disagree with what is true."""
        if self.closed is not None:
            return State.CLOSED
        if not self.ready:
            return State.STARTING
        if self.running is None:
            if self.steering.interrupts:
                return State.INTERRUPTING
            return State.RUNNING if self.steering else State.IDLE
        if self.running.interrupting:
            return State.INTERRUPTING
        return State.AWAITING_PERMISSION if self.permissions else State.RUNNING

    @property
    def turn(self) -> int | None:
        """The number of the running turn."""
        return None if self.running is None else self.running.number

    @property
    def queued(self) -> tuple[str, ...]:
        """The texts that wait, the next one first."""
        return tuple(queued.text for queued in self.queue)

    @property
    def pending(self) -> bool:
        """Whether a send has not ended yet."""
        return self.running is not None or bool(self.queue) or bool(self.steering)

    # The steps.

    def begin_next(self) -> None:
        """Begin the next turn, if one waits and may begin."""
        if self.ready and self.closed is None and self.running is None and not self.steering and self.queue:
            queued = self.queue.popleft()
            self.running = RunningTurn(self.codec.prompt(queued.send, queued.text), [queued.send])

    def stop(self, turn: RunningTurn) -> list[Effect]:
        """Tell the backend to stop the running turn; its end follows by itself."""
        turn.interrupting = True
        self.codec.interrupt()
        # After the interrupt, so that no answer lets the turn go on.
        return self.permissions.cancel("interrupted")

    def finish(self, turn: RunningTurn, result: TurnResult) -> list[Effect]:
        """The running turn has ended."""
        self.running = None
        self.last = result
        return [*self.permissions.cancel("withdrawn"), *turn.ended(result, self.queued)]

    def end(self, reason: str) -> list[Effect]:
        """The end begins: nothing is sent any more, and what waits is handed back."""
        self.closed = reason
        unsent = SendEnd(Fate.UNSENT, reason=reason)
        out: list[Effect] = [SendEnded(queued.send, unsent) for queued in self.queue]
        self.queue.clear()
        return out

    def lose(self, reason: str) -> list[Effect]:
        """The backend will not answer any more: what it was told ends."""
        out = self.permissions.cancel("closed")
        steered, receipts = self.steering.lose()
        out += receipts
        if self.running is not None:
            turn = self.running
            turn.sends += steered
            return out + self.finish(turn, TurnResult(turn.number, TurnStatus.LOST, error=reason))
        rejected = SendEnd(Fate.REJECTED, reason=reason)
        out += (SendEnded(send, rejected) for send in steered)
        return out

    def fail(self, reason: str) -> list[Effect]:
        """The conversation cannot go on: end it and its backend without asking. Idempotent."""
        if self.closed is not None:
            return []
        return [*self.end(reason), *self.lose(reason), EndBackend(False, reason)]
