"""The turn rules that all backends share: what a send, an interrupt, a permission and an end mean. Sans-IO.

One turn at a time. A backend's number of answers is never the number of messages it was sent (it merges,
folds, answers late or swapped), so the machine keeps one prompt outstanding and queues the rest itself;
that is also what makes "still queued" and "hand back what was never sent" true answers. Commands and
signals go in, `Effect`s come out, and the bytes to write are in the codec's output. `RULES` is the table of
what each signal does.

What always holds, whatever the backend says, in whatever order (each is a property that the tests check):

1. each accepted send ends exactly once; 2. what is stale is refused; 3. each interrupt gets one receipt, by
its deadline; 4. interrupts and the end overtake what is queued; 5. no turn gets another turn's end; 6. each
permission request is settled exactly once; 7. after the end nothing is open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from optio_agents.conversation.codec import (
    Codec,
    Folded,
    InterruptAcknowledged,
    Key,
    PermissionAsked,
    PermissionWithdrawn,
    Ready,
    Refused,
    SessionNamed,
    StartFailed,
    TurnBegan,
    TurnFinished,
)
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
from optio_agents.conversation.surface import PermissionDecision, PermissionRequest
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

OPEN_PERMISSIONS_LIMIT = 256
"""More requests than this are denied unseen: no backend asks that much, so something is broken."""

CLOSED_EVENT = "x-optio-closed"

INTERRUPTED_UNSENT = "interrupted before it was sent"

UNCHANGEABLE = "Allowed only with other input, which this agent cannot take; so it is denied."


@dataclass(slots=True)
class _Turn:
    number: int
    sends: list[int]  # the first one began it, the others were folded into it
    interrupts: list[int] = field(default_factory=list)
    interrupting: bool = False
    acknowledged: bool = False


class _Queued(NamedTuple):
    send: int
    text: str


class _Permission(NamedTuple):
    key: Key
    request: PermissionRequest


class Turns:
    """The machine. Every method returns what must be done, in order; then write `codec.take_output()`.

    Sends, interrupts and permissions are named by numbers: the caller's for sends and interrupts, ours for
    permissions. `closed` is the reason once the end has begun; `over` once the backend is gone too.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.session: str | None = None
        self.closed: str | None = None
        self.over = False
        self._ready = False
        self._turn: _Turn | None = None
        self._queue: deque[_Queued] = deque()
        self._last: TurnResult | None = None
        self._steering: dict[int, str] = {}  # written, not known yet in which turn they end up
        self._early: list[int] = []  # interrupts that wait for that: between two turns, of what was steered
        self._permissions: dict[int, _Permission] = {}
        self._numbers: dict[Key, int] = {}
        self._next_permission = 1

    @property
    def state(self) -> State:
        """The visible state; derived, so that it cannot disagree with what is true."""
        if self.closed is not None:
            return State.CLOSED
        if not self._ready:
            return State.STARTING
        if self._turn is None:
            if self._early:
                return State.INTERRUPTING
            return State.RUNNING if self._steering else State.IDLE
        if self._turn.interrupting:
            return State.INTERRUPTING
        return State.AWAITING_PERMISSION if self._permissions else State.RUNNING

    @property
    def pending(self) -> bool:
        """Whether a send has not ended yet."""
        return self._turn is not None or bool(self._queue) or bool(self._steering)

    @property
    def queued(self) -> tuple[str, ...]:
        """The texts that wait, the next one first."""
        return tuple(queued.text for queued in self._queue)

    @property
    def turn(self) -> int | None:
        """The number of the running turn."""
        return None if self._turn is None else self._turn.number

    # Commands.

    def start(self) -> list[Effect]:
        """Begin to talk to the backend."""
        self.codec.start()
        return []

    def send(self, send: int, text: str, *, first: bool = False) -> list[Effect]:
        """Queue `text`, behind what waits or (`first`) before it."""
        out: list[Effect] = []
        if self.closed is not None:
            out.append(SendEnded(send, SendEnd(Fate.UNSENT, reason=self.closed)))
            return out
        queued = _Queued(send, text)
        if first:
            self._queue.appendleft(queued)
        else:
            self._queue.append(queued)
        self._next(out)
        return out

    def steer(self, send: int, text: str) -> list[Effect]:
        """Add `text` to the running turn; where none can take it, it is sent next."""
        turn = self._turn
        if self.closed is not None or turn is None or turn.interrupting or not self.codec.capabilities.steer:
            return self.send(send, text, first=True)
        self._steering[send] = text
        self.codec.steer(send, text)
        return []

    def stop_and_send(self, send: int, text: str, interrupt: int, seconds: float) -> list[Effect]:
        """Interrupt the running turn and send `text` before everything that waits."""
        # Queued first: the turn may end within the interrupt, and then this is the next one.
        if self._turn is None and not self._steering:
            return [*self.send(send, text, first=True), *self._nothing_running(interrupt)]
        return [*self.send(send, text, first=True), *self.interrupt(interrupt, seconds)]

    def withdraw(self, send: int) -> list[Effect]:
        """Take back a send that still waits; does nothing to one that was written."""
        for queued in self._queue:
            if queued.send == send:
                self._queue.remove(queued)
                return [SendEnded(send, SendEnd(Fate.UNSENT, reason="withdrawn"))]
        return []

    def withdraw_or_interrupt(self, send: int, interrupt: int, seconds: float) -> list[Effect]:
        """Nobody wants this send's answer any more: take it back, or interrupt the turn that it began."""
        if self._turn is not None and self._turn.sends[:1] == [send]:
            return self.interrupt(interrupt, seconds)
        return [*self.withdraw(send), *self._nothing_running(interrupt)]

    def interrupt(self, interrupt: int, seconds: float) -> list[Effect]:
        """Stop the running turn; `seconds` is how long it may take to end before its process is ended."""
        out: list[Effect] = []
        if self.closed is not None:
            out.append(Receipted(interrupt, None))
        elif self._turn is not None or self._steering:
            if self.codec.capabilities.interrupt:
                self._interrupt(interrupt, seconds, out)
            else:
                receipt = InterruptReceipt(InterruptKind.UNSUPPORTED, queued=self.queued)
                out.append(Receipted(interrupt, receipt))
        elif not self._ready and self._queue:
            # Its turn would have been the first one: it is stopped before it began.
            head = self._queue.popleft()
            out.append(SendEnded(head.send, SendEnd(Fate.UNSENT, reason=INTERRUPTED_UNSENT)))
            receipt = InterruptReceipt(InterruptKind.INTERRUPTED, queued=self.queued, acknowledged=True)
            out.append(Receipted(interrupt, receipt))
        else:
            out.extend(self._nothing_running(interrupt))
        return out

    def decide(self, permission: int, decision: PermissionDecision) -> list[Effect]:
        """Answer a permission request. One that is settled already stays as it was: no effect."""
        known = self._permissions.get(permission)
        if known is None:
            return []
        changed = decision.updated_input
        changes = decision.behavior == "allow" and changed is not None and changed != known.request.input
        if changes and not self.codec.capabilities.change_input:
            decision = PermissionDecision("deny", message=UNCHANGEABLE)
        self.codec.decide(known.key, decision)
        return [self._settle(permission, "answered")]

    def close(self, reason: str = "closed by its owner") -> list[Effect]:
        """End the conversation: hand back what waits, stop what runs, then end the backend. Idempotent."""
        if self.closed is not None:
            return []
        out = self._end(reason)
        if self._turn is not None and self.codec.capabilities.interrupt:
            self.codec.interrupt()
        self._cancel_permissions("closed", out)
        out.append(EndBackend(True, reason))
        return out

    def fail(self, reason: str) -> list[Effect]:
        """The conversation cannot go on: end it and its backend without asking. Idempotent."""
        if self.closed is not None:
            return []
        out = self._end(reason)
        self._cancel_permissions("closed", out)
        self._lose(reason, out)
        out.append(EndBackend(False, reason))
        return out

    # What happens.

    def receive(self, data: bytes) -> list[Effect]:
        """What the backend printed (`b""`: it will print no more)."""
        out: list[Effect] = []
        rules = self.RULES
        for item in self.codec.receive(data):
            if type(item) is Event:
                out.append(item)
            else:
                rules[type(item)](self, item, out)
        return out

    def interrupt_expired(self, interrupt: int) -> list[Effect]:
        """The deadline of an interrupt has passed."""
        waiting = self._early if self._turn is None else self._turn.interrupts
        if self.closed is not None or interrupt not in waiting:
            return []
        acknowledged = self._turn is not None and self._turn.acknowledged
        receipt = InterruptReceipt(InterruptKind.UNANSWERED, queued=self.queued, acknowledged=acknowledged)
        out: list[Effect] = [Receipted(each, receipt) for each in waiting]
        waiting.clear()
        out.extend(self.fail("the agent did not stop its turn when it was interrupted"))
        return out

    def gone(self, reason: str) -> list[Effect]:
        """The backend's process has ended. Everything that is open ends now."""
        if self.over:
            return []
        self.over = True
        out = self._end(reason) if self.closed is None else []
        self._cancel_permissions("closed", out)
        self._lose(reason, out)
        out.append(Event({"type": CLOSED_EVENT, "reason": self.closed}))
        return out

    # Signals: one rule each.

    def _on_ready(self, signal: Ready, out: list[Effect]) -> None:
        if signal.session is not None:
            self.session = signal.session
        self._ready = True
        self._next(out)

    def _on_session(self, signal: SessionNamed, out: list[Effect]) -> None:
        self.session = signal.session

    def _on_start_failed(self, signal: StartFailed, out: list[Effect]) -> None:
        out.extend(self.fail(f"the agent refused to start: {signal.reason}"))

    def _on_began(self, signal: TurnBegan, out: list[Effect]) -> None:
        adopted = [send for send in signal.sends if self._steering.pop(send, None) is not None]
        turn = self._turn
        if adopted:
            # The backend runs what was meant to steer the turn before; that comes before what waits here.
            if turn is not None:
                # It runs one turn at a time, so that one is over, whatever became of the news.
                error = "the agent began another turn and never said how this one ended"
                self._finish(turn, TurnResult(turn.number, TurnStatus.FAILED, error=error), out)
            early, self._early = self._early, []
            self._turn = _Turn(signal.turn, adopted, early)
            if early:
                self._stop(self._turn, out)
        elif turn is not None and turn.number == signal.turn and turn.interrupting:
            # The interrupt came before the turn had begun, and an interrupt of nothing is lost: say it again.
            self.codec.interrupt()

    def _on_finished(self, signal: TurnFinished, out: list[Effect]) -> None:
        turn = self._turn
        if turn is not None and turn.number == signal.turn:
            result = TurnResult(turn.number, signal.status, signal.text, signal.error, signal.raw)
            self._finish(turn, result, out)
            self._next(out)

    def _on_folded(self, signal: Folded, out: list[Effect]) -> None:
        if self._steering.pop(signal.send, None) is None:
            return
        if self._turn is not None and self._turn.number == signal.turn:
            self._turn.sends.append(signal.send)
            return
        last = self._last if self._last is not None and self._last.turn == signal.turn else None
        out.append(SendEnded(signal.send, SendEnd(Fate.FOLDED, last)))
        self._answer_early(InterruptKind.FINISHED, out)
        self._next(out)

    def _on_refused(self, signal: Refused, out: list[Effect]) -> None:
        text = self._steering.pop(signal.send, None)
        rejected = SendEnded(signal.send, SendEnd(Fate.REJECTED, reason=signal.reason))
        if text is not None:
            if not signal.lost_race or self.closed is not None:
                out.append(rejected)
                self._answer_early(InterruptKind.FINISHED, out)
            elif self._early:
                # It would have been the next turn: that is stopped before it begins.
                out.append(SendEnded(signal.send, SendEnd(Fate.UNSENT, reason=INTERRUPTED_UNSENT)))
                self._answer_early(InterruptKind.INTERRUPTED, out)
            else:
                self._queue.appendleft(_Queued(signal.send, text))
        elif self._turn is not None and self._turn.sends[0] == signal.send:
            turn, self._turn = self._turn, None
            # There is no such turn, so whatever claimed to belong to it goes with it.
            self._cancel_permissions("withdrawn", out)
            out.append(rejected)
            lost = SendEnd(Fate.REJECTED, reason=signal.reason)
            out.extend(SendEnded(send, lost) for send in turn.sends[1:])
            self._receipts(turn, InterruptKind.FINISHED, None, out)
        self._next(out)

    def _on_asked(self, signal: PermissionAsked, out: list[Effect]) -> None:
        turn = self._turn
        if signal.key in self._numbers:
            return
        stale = turn is None or signal.turn != turn.number or turn.interrupting or self.closed is not None
        if stale or len(self._permissions) >= OPEN_PERMISSIONS_LIMIT:
            self.codec.cancel_permission(signal.key)
            return
        permission = self._next_permission
        self._next_permission += 1
        request = PermissionRequest(signal.tool_name, signal.input, signal.raw)
        self._permissions[permission] = _Permission(signal.key, request)
        self._numbers[signal.key] = permission
        out.append(Offered(permission, request))

    def _on_withdrawn(self, signal: PermissionWithdrawn, out: list[Effect]) -> None:
        permission = self._numbers.get(signal.key)
        if permission is not None:
            out.append(self._settle(permission, "withdrawn"))

    def _on_acknowledged(self, signal: InterruptAcknowledged, out: list[Effect]) -> None:
        if self._turn is not None and self._turn.number == signal.turn:
            self._turn.acknowledged = True

    RULES: ClassVar[dict[type[Any], Callable[[Turns, Any, list[Effect]], None]]] = {
        Ready: _on_ready,
        SessionNamed: _on_session,
        StartFailed: _on_start_failed,
        TurnBegan: _on_began,
        TurnFinished: _on_finished,
        Folded: _on_folded,
        Refused: _on_refused,
        PermissionAsked: _on_asked,
        PermissionWithdrawn: _on_withdrawn,
        InterruptAcknowledged: _on_acknowledged,
    }

    # The steps that the rules are made of.

    def _next(self, out: list[Effect]) -> None:
        """Begin the next turn, if one waits and may begin."""
        if self._ready and self.closed is None and self._turn is None and not self._steering and self._queue:
            queued = self._queue.popleft()
            self._turn = _Turn(self.codec.prompt(queued.send, queued.text), [queued.send])

    def _interrupt(self, interrupt: int, seconds: float, out: list[Effect]) -> None:
        out.append(InterruptStarted(interrupt, seconds))
        if self._turn is None:
            # What was steered came too late for its turn; the backend will say what becomes of it.
            self._early.append(interrupt)
            return
        self._turn.interrupts.append(interrupt)
        if not self._turn.interrupting:
            self._stop(self._turn, out)

    def _stop(self, turn: _Turn, out: list[Effect]) -> None:
        turn.interrupting = True
        self.codec.interrupt()
        # After the interrupt, so that no answer lets the turn go on.
        self._cancel_permissions("interrupted", out)

    def _answer_early(self, kind: InterruptKind, out: list[Effect]) -> None:
        """If nothing that was steered is open any more, no turn follows that the early interrupts could stop."""
        if not self._steering:
            early, self._early = self._early, []
            receipt = InterruptReceipt(kind, queued=self.queued)
            out.extend(Receipted(interrupt, receipt) for interrupt in early)

    def _nothing_running(self, interrupt: int) -> list[Effect]:
        return [Receipted(interrupt, InterruptReceipt(InterruptKind.NOTHING_RUNNING, queued=self.queued))]

    def _finish(self, turn: _Turn, result: TurnResult, out: list[Effect]) -> None:
        self._turn = None
        self._last = result
        self._cancel_permissions("withdrawn", out)
        out.append(TurnEnded(result))
        for place, send in enumerate(turn.sends):
            out.append(SendEnded(send, SendEnd(Fate.FOLDED if place else Fate.ANSWERED, result)))
        stopped = result.status is TurnStatus.INTERRUPTED
        self._receipts(turn, InterruptKind.INTERRUPTED if stopped else InterruptKind.FINISHED, result, out)

    def _receipts(
        self, turn: _Turn, kind: InterruptKind, result: TurnResult | None, out: list[Effect]
    ) -> None:
        lost = result is not None and result.status is TurnStatus.LOST
        receipt = None if lost else InterruptReceipt(kind, result, self.queued, turn.acknowledged)
        out.extend(Receipted(interrupt, receipt) for interrupt in turn.interrupts)

    def _settle(self, permission: int, why: str) -> Settled:
        del self._numbers[self._permissions.pop(permission).key]
        return Settled(permission, why)

    def _cancel_permissions(self, why: str, out: list[Effect]) -> None:
        for permission, known in list(self._permissions.items()):
            self.codec.cancel_permission(known.key)
            out.append(self._settle(permission, why))

    def _end(self, reason: str) -> list[Effect]:
        self.closed = reason
        unsent = SendEnd(Fate.UNSENT, reason=reason)
        out: list[Effect] = [SendEnded(queued.send, unsent) for queued in self._queue]
        self._queue.clear()
        return out

    def _lose(self, reason: str, out: list[Effect]) -> None:
        """The backend will not answer any more: end what it was told."""
        turn = self._turn
        steering, self._steering = self._steering, {}
        early, self._early = self._early, []
        out.extend(Receipted(interrupt, None) for interrupt in early)
        if turn is not None:
            turn.sends.extend(steering)
            self._finish(turn, TurnResult(turn.number, TurnStatus.LOST, error=reason), out)
        else:
            rejected = SendEnd(Fate.REJECTED, reason=reason)
            out.extend(SendEnded(send, rejected) for send in steering)
