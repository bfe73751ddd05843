"""What was steered, while nobody knows yet in which turn it ends up, and the interrupts that it keeps waiting.

A message that is written into a running turn may come too late for it. The turn ends, and until the backend says
what became of the message the conversation is *between two turns*: the message was folded into the turn that has
ended, or refused, or becomes the next turn. An interrupt that comes then can stop nothing yet, and waits here.
"""

from __future__ import annotations

from optio_agents.conversation.turns.effects import Effect, Receipted
from optio_agents.conversation.values import InterruptKind, InterruptReceipt


class Steering:
    """The messages whose turn is not known yet, and the interrupts between two turns."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self.interrupts: list[int] = []
        """For the turn that the backend may still make of what was steered."""

    def __len__(self) -> int:
        """How many messages are open."""
        return len(self._texts)

    def add(self, send: int, text: str) -> None:
        """It was written into the running turn."""
        self._texts[send] = text

    def take(self, send: int) -> str | None:
        """The backend has said what became of it: its text, `None` if it was not open."""
        return self._texts.pop(send, None)

    def take_interrupts(self) -> list[int]:
        """There is a turn now that they are for, or there will be none."""
        interrupts, self.interrupts = self.interrupts, []
        return interrupts

    def answer_interrupts(self, kind: InterruptKind, queued: tuple[str, ...]) -> list[Effect]:
        """If nothing is open any more, no turn follows that they could stop: `kind` is what they came to."""
        if self._texts:
            return []
        receipt = InterruptReceipt(kind, queued=queued)
        return [Receipted(interrupt, receipt) for interrupt in self.take_interrupts()]

    def lose(self) -> tuple[list[int], list[Effect]]:
        """The backend will say nothing more: the sends that are open, and the end of the interrupts."""
        sends = list(self._texts)
        self._texts.clear()
        return sends, [Receipted(interrupt, None) for interrupt in self.take_interrupts()]
