"""The state of a conversation (what runs, what waits, what is requested), and the steps of every change.

Two modules change it: the commands of its owner (`owner_commands.py`) and the rules for signals of the backend
(`backend_signals.py`). Both use the steps here, so that the invariants (see `owner_commands.py`) are kept in one place.
A step returns its effects, in order; the bytes for the backend are in the codec's output.

The backend works on one turn at a time. Usually that is the turn of our outstanding prompt. But it also begins turns on
its own, and such a turn may begin just before it reads a prompt of ours. Our turn then waits `behind` it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.codecs.base import Codec
from optio_agents.conversation.turns.effects import (
    Effect,
    EndBackend,
    InterruptStarted,
    Receipted,
    SendEnded,
    TurnEnded,
)
from optio_agents.conversation.turns.pending_controls import PendingControls
from optio_agents.conversation.turns.pending_requests import PendingRequests
from optio_agents.conversation.values import (
    BackgroundTask,
    ConversationState,
    Fate,
    InterruptKind,
    InterruptReceipt,
    Origin,
    SendEnd,
    TurnResult,
    TurnStatus,
)
from optio_agents.conversation.views.errors import ErrorKind
from optio_agents.conversation.views.outcome import NOT_TOLD, Outcome

UNTOLD_END = "the agent began another turn and never said how this one ended"


class Queued(NamedTuple):
    """A send that was not written yet, or whose turn is not known yet."""

    send: int
    text: str
    extras: Extras = NO_EXTRAS


@dataclass(slots=True)
class RunningTurn:
    """A turn that has not ended: the sends that it answers, the interrupts that wait for its end.

    In all methods, `queued` are the texts that wait for the next turns; a receipt contains them.
    """

    number: int
    sends: list[int]
    """The first one began it, unless the agent did; the others were folded into it."""
    interrupts: list[int] = field(default_factory=list)
    """Those that wait for its end."""
    origin: Origin = Origin.OURS
    began: bool = False
    """The backend has said that it works on it."""
    interrupting: bool = False
    """It must stop; the backend gets the interrupt once it works on it."""
    acknowledged: bool = False
    """The backend has said that it was told."""
    deadlines: list[InterruptStarted] = field(default_factory=list)
    """Of interrupts that came while it waited behind another turn: they run from when it is its turn."""
    lost_lines: int = 0

    def was_begun_by(self, send: int) -> bool:
        """Whether it is the turn of this send."""
        return self.origin is Origin.OURS and self.sends[0] == send

    def result(
        self,
        status: TurnStatus,
        text: str = "",
        error: str | None = None,
        raw: dict[str, object] | None = None,
        outcome: Outcome = NOT_TOLD,
    ) -> TurnResult:
        """Its result."""
        usage, kind = outcome
        if status is TurnStatus.FAILED:
            kind = kind or ErrorKind.OTHER
        return TurnResult(self.number, status, text, error, raw, self.origin, self.lost_lines, usage, kind)

    def ended(self, result: TurnResult, queued: tuple[str, ...]) -> list[Effect]:
        """End the turn: its result, the end of each of its sends, the receipt of each of its interrupts."""
        out: list[Effect] = [TurnEnded(result)]
        for send in self.sends:
            fate = Fate.ANSWERED if self.was_begun_by(send) else Fate.FOLDED
            out.append(SendEnded(send, SendEnd(fate, result)))
        if result.status is TurnStatus.LOST:
            return out + self._receipts(None)
        stopped = result.status is TurnStatus.INTERRUPTED
        kind = InterruptKind.INTERRUPTED if stopped else InterruptKind.FINISHED
        return out + self._receipts(InterruptReceipt(kind, result, queued, self.acknowledged))

    def refused(self, reason: str, queued: tuple[str, ...]) -> list[Effect]:
        """End a turn that the backend never began: it has no result, and sends that were merged into it end, too."""
        rejected = SendEnd(Fate.REJECTED, reason=reason)
        out: list[Effect] = [SendEnded(send, rejected) for send in self.sends]
        receipt = InterruptReceipt(InterruptKind.FINISHED, None, queued, self.acknowledged)
        return out + self._receipts(receipt)

    def _receipts(self, receipt: InterruptReceipt | None) -> list[Effect]:
        return [Receipted(interrupt, receipt) for interrupt in self.interrupts]


class SteeredSends:
    """The steered sends whose turn is not known yet, and the interrupts that wait for them.

    A message that is written into a running turn may come too late for it. After the end of that turn, the conversation
    is *between two turns* until the backend reports about the message: it was merged into the turn that has ended, or
    refused, or becomes the next turn. An interrupt in this time has nothing to stop yet, and waits here.
    """

    def __init__(self) -> None:
        self._open: dict[int, Queued] = {}
        self.interrupts: list[int] = []
        """For the turn that the backend may still make of what was steered."""

    def __len__(self) -> int:
        """The number of open messages."""
        return len(self._open)

    def add(self, sent: Queued) -> None:
        """Add a message that was written into the running turn."""
        self._open[sent.send] = sent

    def take(self, send: int) -> Queued | None:
        """Remove and return a message about which the backend has reported; `None` if it was not open."""
        return self._open.pop(send, None)

    def take_interrupts(self) -> list[int]:
        """Remove and return the interrupts: there is a turn for them now, or there will be none."""
        interrupts, self.interrupts = self.interrupts, []
        return interrupts

    def answer_interrupts(self, kind: InterruptKind, queued: tuple[str, ...]) -> list[Effect]:
        """If no message is open any more, no turn follows that the interrupts could stop: answer them with `kind`."""
        if self._open:
            return []
        receipt = InterruptReceipt(kind, queued=queued)
        return [Receipted(interrupt, receipt) for interrupt in self.take_interrupts()]

    def lose(self) -> tuple[list[int], list[Effect]]:
        """The backend will not report any more: end the open sends and the interrupts."""
        sends = list(self._open)
        self._open.clear()
        return sends, [Receipted(interrupt, None) for interrupt in self.take_interrupts()]


class TurnState:
    """The present state of one conversation. Only the commands and the rules change the fields."""

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
        self.behind: RunningTurn | None = None
        """Ours, written already, while the backend works on one of its own. Only while something runs."""
        self.last: TurnResult | None = None
        self.queue: deque[Queued] = deque()
        """The next one first."""
        self.steering = SteeredSends()
        self.requests = PendingRequests(codec)
        self.controls = PendingControls(codec)
        self.background: tuple[BackgroundTask, ...] = ()

    @property
    def state(self) -> ConversationState:
        """The visible state, derived from the fields, so that it cannot disagree with them."""
        if self.closed is not None:
            return ConversationState.CLOSED
        if not self.ready:
            return ConversationState.STARTING
        interrupts = self.steering.interrupts if self.running is None else self.running.interrupting
        if interrupts:
            return ConversationState.INTERRUPTING
        if self.requests:
            return ConversationState.AWAITING_PERMISSION
        return (
            ConversationState.RUNNING if self.running is not None or self.steering else ConversationState.IDLE
        )

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
        turns = (self.running, self.behind)
        return any(turn and turn.sends for turn in turns) or bool(self.queue) or bool(self.steering)

    def unended(self, number: int) -> RunningTurn | None:
        """The turn of that number, if it has not ended."""
        for turn in (self.running, self.behind):
            if turn is not None and turn.number == number:
                return turn
        return None

    def turn_of(self, send: int) -> RunningTurn | None:
        """The turn that this send began, if it has not ended."""
        for turn in (self.running, self.behind):
            if turn is not None and turn.was_begun_by(send):
                return turn
        return None

    # The steps.

    def begin_next(self) -> None:
        """Begin the next turn if one waits and may begin."""
        if self.ready and self.closed is None and self.running is None and not self.steering and self.queue:
            queued = self.queue.popleft()
            turn = self.codec.prompt(queued.send, queued.text, queued.extras)
            self.running = RunningTurn(turn, [queued.send])

    def stop(self, turn: RunningTurn) -> list[Effect]:
        """Tell the backend to stop the running turn. Its end follows as a signal."""
        turn.interrupting = True
        self.codec.interrupt(turn.number)
        # After the interrupt, so that no answer lets the turn continue.
        return self.requests.cancel_own("interrupted")

    def remove(self, turn: RunningTurn) -> list[Effect]:
        """Remove a turn. The one that waits for it, if any, runs now."""
        if turn is self.behind:
            self.behind = None
            return []
        self.running, self.behind = self.behind, None
        if self.running is None:
            return []
        deadlines, self.running.deadlines = self.running.deadlines, []
        return [*deadlines]

    def finish(self, turn: RunningTurn, result: TurnResult) -> list[Effect]:
        """End a turn. Its requests stay open until the backend withdraws them."""
        result = self.last = replace(result, background=self.background)
        return [*self.remove(turn), *turn.ended(result, self.queued)]

    def end(self, reason: str) -> list[Effect]:
        """Begin the end: nothing is sent any more, and what waits is returned."""
        self.closed = reason
        unsent = SendEnd(Fate.UNSENT, reason=reason)
        out: list[Effect] = [SendEnded(queued.send, unsent) for queued in self.queue]
        self.queue.clear()
        return out

    def lose(self, reason: str) -> list[Effect]:
        """The backend will not answer any more: end all written sends."""
        out = [*self.requests.cancel("closed"), *self.controls.lose()]
        self.background = ()
        steered, receipts = self.steering.lose()
        out += receipts
        if self.running is not None:
            self.running.sends += steered
        else:
            rejected = SendEnd(Fate.REJECTED, reason=reason)
            out += (SendEnded(send, rejected) for send in steered)
        while (turn := self.running) is not None:
            out += self.finish(turn, turn.result(TurnStatus.LOST, error=reason))
        return out

    def fail(self, reason: str) -> list[Effect]:
        """The conversation cannot go on: end it and its backend without asking. Idempotent."""
        if self.closed is not None:
            return []
        return [*self.end(reason), *self.lose(reason), EndBackend(False, reason)]
