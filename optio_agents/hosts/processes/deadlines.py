"""How long each step of ending a process tree may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a process tree is waited for while it is ended, in seconds per step.

    A step that has nothing to wait for takes no time.
    """

    ask: float = 5.0
    """From the request to end (usually the end of its input) until TERM."""
    term: float = 5.0
    """From TERM until KILL."""
    kill: float = 5.0
    """From KILL until what is left is reported: a process can hang in the kernel."""

    @property
    def total(self) -> float:
        """The most that ending may take: each step, and `kill` once more to collect the exit status."""
        return self.ask + self.term + 2 * self.kill
