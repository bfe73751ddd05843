"""What can be counted about an actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actors.lifecycle import State

if TYPE_CHECKING:
    from actors.cell import Cell


@dataclass(frozen=True, slots=True)
class Statistics:
    """A snapshot of one actor, as trio's own `statistics()` are. All counts are since its start.

    Nothing is lost without a trace: `accepted == taken + queued + dropped + unhandled`, and each message that
    was dropped, left over (`unhandled`) or taken but not finished is among `dead_letters`.
    """

    state: State
    capacity: int
    queued: int
    """User messages in the mailbox."""
    urgent: int
    """System messages in the mailbox."""
    senders_waiting: int
    """Tasks blocked in `tell` because the mailbox is full."""
    accepted: int
    taken: int
    """User messages that were given to the actor."""
    dropped: int
    """By the overflow policy."""
    rejected: int
    """Refused to the sender with `MailboxFull`; those were never accepted."""
    unhandled: int
    """Still in the mailbox when the actor ended."""
    dead_letters: int
    restarts: int
    interrupts: int
    asks_open: int
    late_replies: int
    timers: int
    watchers: int


def count(cell: Cell[Any]) -> Statistics:
    """Count what can be counted about an actor, now."""
    box = cell.mailbox
    return Statistics(
        state=cell.state,
        capacity=box.capacity,
        queued=len(box.queue),
        urgent=len(box.notices),
        senders_waiting=len(box.senders),
        accepted=box.accepted,
        taken=box.accepted - len(box.queue) - box.dropped - cell.unhandled,
        dropped=box.dropped,
        rejected=box.rejected,
        unhandled=cell.unhandled,
        dead_letters=cell.dead_letters,
        restarts=cell.restarts,
        interrupts=cell.interrupts,
        asks_open=len(cell.asks),
        late_replies=cell.late_replies,
        timers=len(box.timers or ()),
        watchers=len(cell.watchers),
    )
