"""A turn that runs: the sends that it answers, the interrupts that wait for its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from optio_agents.conversation.turns.effects import Effect, Receipted, SendEnded, TurnEnded
from optio_agents.conversation.values import (
    Fate,
    InterruptKind,
    InterruptReceipt,
    SendEnd,
    TurnResult,
    TurnStatus,
)


@dataclass(slots=True)
class RunningTurn:
    """Whoever waits for something of a turn waits here, and learns all of it at once, when it ends.

    `queued`, wherever it is asked for, are the texts that wait for the next turns: a receipt tells them.
    """

    number: int
    sends: list[int]
    """The first one began it, the others were folded into it."""
    interrupts: list[int] = field(default_factory=list)
    """Those that wait for its end."""
    interrupting: bool = False
    """The backend was told to stop it."""
    acknowledged: bool = False
    """The backend has said that it was told."""

    def ended(self, result: TurnResult, queued: tuple[str, ...]) -> list[Effect]:
        """It is over: its result, the end of each of its sends, the receipt of each of its interrupts."""
        out: list[Effect] = [TurnEnded(result)]
        for place, send in enumerate(self.sends):
            out.append(SendEnded(send, SendEnd(Fate.FOLDED if place else Fate.ANSWERED, result)))
        if result.status is TurnStatus.LOST:
            return out + self._receipts(None)
        stopped = result.status is TurnStatus.INTERRUPTED
        kind = InterruptKind.INTERRUPTED if stopped else InterruptKind.FINISHED
        return out + self._receipts(InterruptReceipt(kind, result, queued, self.acknowledged))

    def refused(self, reason: str, queued: tuple[str, ...]) -> list[Effect]:
        """The backend never began it, so it has no result; what was folded into it goes with it."""
        rejected = SendEnd(Fate.REJECTED, reason=reason)
        out: list[Effect] = [SendEnded(send, rejected) for send in self.sends]
        receipt = InterruptReceipt(InterruptKind.FINISHED, None, queued, self.acknowledged)
        return out + self._receipts(receipt)

    def _receipts(self, receipt: InterruptReceipt | None) -> list[Effect]:
        return [Receipted(interrupt, receipt) for interrupt in self.interrupts]
