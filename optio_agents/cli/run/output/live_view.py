"""The state of the live display, computed from the events, without any drawing."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace

from optio_agents.cli.run.output.events import AgentStarted, RunEnded, RunEvent, RunInterrupted
from optio_agents.cli.run.output.plain_text import event_line, readable, verdict, whole
from optio_agents.session.events import (
    AttentionAsked,
    BrowserAsked,
    DeliverableSettled,
    MessageSent,
    ProgressReported,
)

SHOWN_DELIVERABLES = 8
"""How many deliverables are kept in sight, the newest; the others are counted."""

SHOWN_NOTES = 4
"""How many of the latest notes are kept in sight."""

_FULL = 100


@dataclass(frozen=True, slots=True)
class DeliverableLine:
    """One deliverable in the display."""

    path: str
    verdict: str
    accepted: bool


@dataclass(slots=True)
class RunView:
    """The state of the live display. All texts in it are harmless for a terminal."""

    title: str
    percent: float | None = None
    message: str = ""
    deliverables: OrderedDict[str, DeliverableLine] = field(default_factory=OrderedDict)
    """By path, the newest last: one that was redone replaces its earlier line."""
    more_deliverables: int = 0
    attention: str | None = None
    """The latest thing that the agent wants a human for; it stays in sight."""
    browser: str | None = None
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_NOTES))
    ending: str | None = None
    """Why the agent is being ended, once it is."""
    ended: RunEnded | None = None
    typed: str | None = None
    """The line that is being typed to the agent; None: the keyboard is not read."""

    def apply(self, event: RunEvent) -> None:
        """Update the state with one event."""
        match event:
            case AgentStarted():
                pass  # the clock and the spinner show that it runs
            case ProgressReported(percent, message):
                if percent is not None:
                    self.percent = min(max(percent, 0), _FULL)
                if message:
                    self.message = readable(message)
            case DeliverableSettled(record):
                path = readable(record.path)
                earlier = self.deliverables.pop(path, None)
                redone = " (redone)" if record.accepted and earlier and not earlier.accepted else ""
                self.deliverables[path] = DeliverableLine(path, verdict(record) + redone, record.accepted)
                if len(self.deliverables) > SHOWN_DELIVERABLES:
                    self.deliverables.popitem(last=False)
                    self.more_deliverables += 1
            case AttentionAsked(reason):
                self.attention = whole(reason)
            case BrowserAsked(url):
                self.browser = whole(url)
            case RunInterrupted(reason):
                self.ending = readable(reason)
            case RunEnded():
                self.ended = event
            case MessageSent(delivered=True):
                pass  # the deliverable's own line shows it
            case _:
                if (line := event_line(event)) is not None:
                    self.notes.append(line)

    def copy(self) -> RunView:
        """An unchanging snapshot, for drawing in another thread."""
        return replace(self, deliverables=self.deliverables.copy(), notes=self.notes.copy())
