"""The work of codex outside of our turns: its goal, and its subagents, which are threads of their own."""

from __future__ import annotations

from typing import Any

from optio_agents.conversation.codecs.base import BackgroundChanged, Signal
from optio_agents.conversation.codecs.forms import text_of
from optio_agents.conversation.values import BackgroundTask, Event

THREADS_KEPT = 64
"""Of how many threads of subagents it is remembered what they are called, and how many may be at work."""

GOAL = "goal"

Out = list[Event | Signal]


class CodexWork:
    """The open work, and the names of its threads."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._open: dict[str, BackgroundTask] = {}

    def note_thread(self, params: dict[str, Any]) -> None:
        """Note the agent's name of a thread that has started."""
        thread = params.get("thread")
        thread = thread if isinstance(thread, dict) else {}
        identity = text_of(thread.get("id"))
        name = text_of(thread.get("agentNickname")) or text_of(thread.get("agentRole"))
        if identity and name:
            self._names = {**dict(list(self._names.items())[1 - THREADS_KEPT :]), identity: name}

    def name_of(self, thread: str) -> str:
        """The name of the agent that works in a thread."""
        return f"subagent {self._names.get(thread, thread)}"

    def note_goal(self, goal: object, out: Out) -> None:
        """Note the present goal. `None`, or a goal that is not active, is no open work."""
        fields = goal if isinstance(goal, dict) else {}
        objective = text_of(fields.get("objective")) if fields.get("status") == "active" else None
        self._note(GOAL, GOAL, objective, out)

    @property
    def has_goal(self) -> bool:
        """Whether a goal is open: only then does codex begin turns by itself."""
        return GOAL in self._open

    def note_subagent(self, thread: str, out: Out, *, works: bool) -> None:
        """A subagent works, or has stopped."""
        self._note(thread, "subagent", self.name_of(thread) if works else None, out)

    def _note(self, key: str, kind: str, description: str | None, out: Out) -> None:
        before = dict(self._open)
        if description is None:
            self._open.pop(key, None)
        elif len(self._open) < THREADS_KEPT:
            self._open[key] = BackgroundTask(key, kind, description)
        if self._open != before:
            out.append(BackgroundChanged(tuple(self._open.values())))
