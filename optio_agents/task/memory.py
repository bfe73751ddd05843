"""What a task remembers of its conversation from one run to the next: the agent's session, and what was said.

Both are blobs of the process. The session is written as soon as it is known, so that a worker that is killed loses
nothing; the transcript when the work is saved. Messages that wait are kept apart (`waiting_messages`).
"""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from typing import Any

from optio_agents.context import SYSTEM_MESSAGE_PREFIX
from optio_agents.protocol.prompt import RESUME_NOTICE
from optio_agents.task import saved
from optio_agents.todos.publisher import Publisher

SESSION_BLOB = "agent-session"
TRANSCRIPT_BLOB = "agent-transcript"

EVENTS_KEPT = 1000
EVENTS_BYTES = 4 * 1024 * 1024
"""How much of a conversation is kept for the view of a suspended task: the newest events."""

WITHOUT_SESSION = (
    f"{SYSTEM_MESSAGE_PREFIX}{RESUME_NOTICE}, but your earlier conversation could not be taken up ({{trouble}}). The "
    "working directory is as you left it: look at what is there before you go on. This was your task:\n\n{prompt}"
)


class Transcript:
    """The newest events of a conversation, numbered from 1, within bounds."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, dict[str, Any], int]] = deque()
        self._bytes = 0
        self._last = 0

    def add(self, event: dict[str, Any], number: int | None = None) -> None:
        """Append one. Parts of a text that is still being written are left out: the whole text follows."""
        if event.get("type") == "stream_event":
            return
        size = len(json.dumps(event, default=repr))
        self._last = self._last + 1 if number is None else number
        self._events.append((self._last, event, size))
        self._bytes += size
        while len(self._events) > EVENTS_KEPT or self._bytes > EVENTS_BYTES:
            self._bytes -= self._events.popleft()[2]

    def entries(self) -> list[list[Any]]:
        """`[number, event]` each, the oldest first: what optio-core's `read_conversation` returns."""
        return [[number, event] for number, event, _ in self._events]


class ConversationMemory:
    """What one run knows of the conversation of the run before, and keeps for the run after.

    Args:
        ctx: the process context.

    Attributes:
        session: the agent's own name for the conversation, by which a later process takes it up.
        prompted: the agent has got its first message.
        resumed: this run resumes an earlier one.
        continues: the agent was started so that it takes up its session.
        trouble: why it does not.
        transcript: the newest events, those of the runs before included.
    """

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx
        self._writer = Publisher(self._write_session, "session of the agent")
        self.session: str | None = None
        self.prompted = False
        self.resumed = False
        self.continues = False
        self.trouble = "no conversation was kept"
        self.transcript = Transcript()

    async def load(self) -> None:
        """Recall what the run before has kept."""
        self.resumed = True
        content = await saved.read_newest(self._ctx, SESSION_BLOB)
        if content is not None:
            kept = json.loads(content)
            self.session, self.prompted = kept["session"], bool(kept["prompted"])
        transcript = await saved.read_newest(self._ctx, TRANSCRIPT_BLOB)
        for number, event in json.loads(transcript)["events"] if transcript is not None else ():
            self.transcript.add(event, number)

    @property
    def can_continue(self) -> bool:
        """Whether there is a session to take up, in which the agent was given its task."""
        return self.resumed and self.prompted and self.session is not None

    def first_words(self, prompt: str) -> str:
        """What the agent is told first in this run."""
        if not self.resumed:
            return prompt
        if self.continues:
            return SYSTEM_MESSAGE_PREFIX + RESUME_NOTICE
        return WITHOUT_SESSION.format(trouble=self.trouble, prompt=prompt)

    def note(self, session: str | None, *, prompted: bool) -> None:
        """Take note of where the conversation stands, and have it written down if that is new."""
        before = self.session, self.prompted
        self.session = session or self.session
        self.prompted = self.prompted or prompted
        if before != (self.session, self.prompted):
            self._writer.changed()

    async def save(self) -> None:
        """Write everything: the run is being saved."""
        await self._writer.settle()
        captured = {"events": self.transcript.entries(), "capturedAt": datetime.now(UTC).isoformat()}
        await saved.write_only(self._ctx, TRANSCRIPT_BLOB, json.dumps(captured, default=repr).encode())

    async def settle(self) -> None:
        """Wait until the session is written."""
        await self._writer.settle()

    async def _write_session(self) -> None:
        kept = {"session": self.session, "prompted": self.prompted}
        await saved.write_only(self._ctx, SESSION_BLOB, json.dumps(kept).encode())


async def read_conversation(ctx: Any) -> dict[str, Any] | None:
    """What a suspended task's conversation said: `TaskInstance.read_conversation`."""
    content = await saved.read_newest(ctx, TRANSCRIPT_BLOB)
    return None if content is None else dict(json.loads(content))
