"""The turn rules that all backends share: what a send, an interrupt, a permission and an end mean. Sans-IO.

There is one turn at a time. The number of a backend's answers may differ from the number of messages, because it merges
messages and answers late or swapped. So the machine keeps one prompt outstanding and queues the rest itself. That also
makes the reports "still queued" and "never sent" reliable. Commands and bytes go in, `Effect`s come out, and the bytes
to write are in the codec's output.

```
 owner ──commands──> Turns ─────┐
                                ├──> TurnState (what is true now, and the steps that change it) ──> effects
 backend ─bytes─> Codec ─signals─> RULES ─┘
```

Invariants, for any signals of the backend in any order (the tests check each of them):

1. each accepted send ends exactly once; 2. what is stale is ignored; 3. each interrupt gets one receipt, by
its deadline; 4. interrupts and the end overtake what is queued; 5. no turn gets another turn's end;
6. each request is settled exactly once, by an answer or because the backend or an interrupt withdrew it; 7. after
the end nothing is open.
"""

from __future__ import annotations

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.codecs.base import ESSENTIAL
from optio_agents.conversation.requests import QuestionAnswer
from optio_agents.conversation.surface import PermissionDecision
from optio_agents.conversation.turns.backend_signals import INTERRUPTED_UNSENT, RULES
from optio_agents.conversation.turns.effects import (
    ControlSettled,
    ControlsKnown,
    Effect,
    EndBackend,
    InterruptStarted,
    Receipted,
    SendEnded,
)
from optio_agents.conversation.turns.turn_state import Queued, RunningTurn, TurnState
from optio_agents.conversation.values import Event, Fate, InterruptKind, InterruptReceipt, SendEnd

CLOSED_EVENT = "x-optio-closed"


class Turns:
    """The machine. Every method returns what must be done, in order; then write `codec.take_output()`.

    Sends, interrupts and permissions are named by numbers: the caller's for sends and interrupts, ours for
    permissions.
    """

    def __init__(self, turn_state: TurnState) -> None:
        self.turn_state = turn_state
        self._codec = turn_state.codec

    # Commands of the owner.

    def start(self) -> list[Effect]:
        """Begin to talk to the backend."""
        self._codec.start()
        return []

    def send(self, send: int, text: str, extras: Extras = NO_EXTRAS, *, first: bool = False) -> list[Effect]:
        """Queue `text`, after what waits or (`first`) before it."""
        turn_state = self.turn_state
        if turn_state.closed is not None:
            return [SendEnded(send, SendEnd(Fate.UNSENT, reason=turn_state.closed))]
        if first:
            turn_state.queue.appendleft(Queued(send, text, extras))
        else:
            turn_state.queue.append(Queued(send, text, extras))
        turn_state.begin_next()
        return []

    def steer(self, send: int, text: str, extras: Extras = NO_EXTRAS) -> list[Effect]:
        """Add `text` to the running turn. If no turn can take it, it is sent next."""
        turn = self.turn_state.running
        over = self.turn_state.closed is not None or turn is None or turn.interrupting
        if over or not self._codec.capabilities.steer:
            return self.send(send, text, extras, first=True)
        self.turn_state.steering.add(Queued(send, text, extras))
        self._codec.steer(send, text, extras)
        return []

    def stop_and_send(
        self, send: int, text: str, interrupt: int, seconds: float, extras: Extras = NO_EXTRAS
    ) -> list[Effect]:
        """Interrupt the running turn and send `text` before everything that waits."""
        # Queued first: the turn may end within the interrupt, and then this is the next one.
        if self.turn_state.running is None and not self.turn_state.steering:
            return [*self.send(send, text, extras, first=True), *self._nothing_running(interrupt)]
        return [*self.send(send, text, extras, first=True), *self.interrupt(interrupt, seconds)]

    def withdraw(self, send: int) -> list[Effect]:
        """Withdraw a send that still waits. Does nothing to one that was written."""
        for queued in self.turn_state.queue:
            if queued.send == send:
                self.turn_state.queue.remove(queued)
                return [SendEnded(send, SendEnd(Fate.UNSENT, reason="withdrawn"))]
        return []

    def withdraw_or_interrupt(self, send: int, interrupt: int, seconds: float) -> list[Effect]:
        """The answer of this send is no longer needed: withdraw it, or interrupt the turn that it began."""
        turn = self.turn_state.turn_of(send)
        if turn is None:
            return [*self.withdraw(send), *self._nothing_running(interrupt)]
        if turn is self.turn_state.running or not self._codec.capabilities.interrupt:
            return self.interrupt(interrupt, seconds)
        return self._interrupt_behind(turn, interrupt, seconds)

    def _interrupt_behind(self, turn: RunningTurn, interrupt: int, seconds: float) -> list[Effect]:
        """The turn waits for one of the backend's own, which continues. Stop it when it begins."""
        if self.turn_state.closed is not None:
            return [Receipted(interrupt, None)]
        turn.interrupts.append(interrupt)
        turn.interrupting = True
        turn.deadlines.append(InterruptStarted(interrupt, seconds))
        return []

    def interrupt(self, interrupt: int, seconds: float) -> list[Effect]:
        """Stop the running turn; `seconds` is how long it may take to end before its process is ended."""
        turn_state = self.turn_state
        if turn_state.closed is not None:
            return [Receipted(interrupt, None)]
        if turn_state.running is not None or turn_state.steering:
            if self._codec.capabilities.interrupt:
                return [InterruptStarted(interrupt, seconds), *self._interrupt(interrupt)]
            return [Receipted(interrupt, self._receipt(InterruptKind.UNSUPPORTED))]
        if not turn_state.ready and turn_state.queue:
            # Its turn would have been the first one: it is stopped before it began.
            head = turn_state.queue.popleft()
            unsent = SendEnd(Fate.UNSENT, reason=INTERRUPTED_UNSENT)
            receipt = self._receipt(InterruptKind.INTERRUPTED, acknowledged=True)
            return [SendEnded(head.send, unsent), Receipted(interrupt, receipt)]
        return self._nothing_running(interrupt)

    def decide(self, permission: int, decision: PermissionDecision) -> list[Effect]:
        """Answer a permission request. No effect if it is settled already."""
        return self.turn_state.requests.decide(permission, decision)

    def answer(self, question: int, answer: QuestionAnswer) -> list[Effect]:
        """Answer a question. No effect if it is settled already."""
        return self.turn_state.requests.answer(question, answer)

    def list_controls(self) -> list[Effect]:
        """Tell what the backend lets its user change."""
        return (
            [ControlsKnown(None)]
            if self.turn_state.closed is not None
            else self.turn_state.controls.list_all()
        )

    def set_control(self, change: int, control_id: str, value: str | bool) -> list[Effect]:
        """Change one of the controls that were listed."""
        if self.turn_state.closed is not None:
            return [ControlSettled(change, None)]
        return self.turn_state.controls.set(change, control_id, value)

    def close(self, reason: str = "closed by its owner") -> list[Effect]:
        """End the conversation: return what waits, stop what runs, then end the backend. Idempotent."""
        turn_state = self.turn_state
        if turn_state.closed is not None:
            return []
        out = turn_state.end(reason)
        if turn_state.running is not None and self._codec.capabilities.interrupt:
            self._codec.interrupt(turn_state.running.number)
        return [*out, *turn_state.requests.cancel("closed"), EndBackend(True, reason)]

    def fail(self, reason: str) -> list[Effect]:
        """The conversation cannot continue: end it and its backend without asking. Idempotent."""
        return self.turn_state.fail(reason)

    # Events.

    def receive(self, data: bytes) -> list[Effect]:
        """Handle output of the backend (`b""` is its end)."""
        out: list[Effect] = []
        for item in self._codec.receive(data):
            if type(item) is Event:
                out.append(item)
                continue
            if type(item) in ESSENTIAL:
                _keep_last_event(out)
            out += RULES[type(item)](self.turn_state, item)
        return out

    def interrupt_expired(self, interrupt: int) -> list[Effect]:
        """The deadline of an interrupt has passed."""
        turn_state = self.turn_state
        turns = [turn for turn in (turn_state.running, turn_state.behind) if turn is not None]
        turn = next((turn for turn in turns if interrupt in turn.interrupts), None)
        waiting = turn_state.steering.interrupts if turn is None else turn.interrupts
        if turn_state.closed is not None or interrupt not in waiting:
            return []
        acknowledged = turn is not None and turn.acknowledged
        receipt = self._receipt(InterruptKind.UNANSWERED, acknowledged=acknowledged)
        out: list[Effect] = [Receipted(each, receipt) for each in waiting]
        waiting.clear()
        return out + turn_state.fail("the agent did not stop its turn when it was interrupted")

    def gone(self, reason: str) -> list[Effect]:
        """The backend's process has ended. Everything that is open ends now."""
        turn_state = self.turn_state
        if turn_state.over:
            return []
        turn_state.over = True
        out = turn_state.end(reason) if turn_state.closed is None else []
        closed = Event({"type": CLOSED_EVENT, "reason": turn_state.closed}, kept=True)
        return [*out, *turn_state.lose(reason), closed]

    # Common parts.

    def _interrupt(self, interrupt: int) -> list[Effect]:
        turn = self.turn_state.running
        if turn is None:
            # What was steered came too late for its turn; the backend will say what becomes of it.
            self.turn_state.steering.interrupts.append(interrupt)
            return []
        turn.interrupts.append(interrupt)
        return [] if turn.interrupting else self.turn_state.stop(turn)

    def _nothing_running(self, interrupt: int) -> list[Effect]:
        return [Receipted(interrupt, self._receipt(InterruptKind.NOTHING_RUNNING))]

    def _receipt(self, kind: InterruptKind, *, acknowledged: bool = False) -> InterruptReceipt:
        return InterruptReceipt(kind, queued=self.turn_state.queued, acknowledged=acknowledged)


def _keep_last_event(effects: list[Effect]) -> None:
    """Mark the event from which a signal was read: the last one before it."""
    for place in reversed(range(len(effects))):
        effect = effects[place]
        if isinstance(effect, Event):
            effects[place] = effect._replace(kept=True)
            return
