"""The counters of an actor."""

from __future__ import annotations

from dataclasses import dataclass

from actors.lifecycle import State


@dataclass(frozen=True, slots=True)
class Statistics:
    """A snapshot of one actor, similar to Trio's own `statistics()`. All counts are since its start.

    Every message is counted: `accepted == taken + queued + dropped + unhandled`, and each message that was dropped,
    left over (`unhandled`) or taken but not finished is among `dead_letters`.
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
