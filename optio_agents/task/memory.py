"""What a task remembers of its conversation from one run to the next: the agent's session, and the transcript.

Both are blobs of the process. The session is written as soon as it is known, so that it survives a killed worker. The
transcript is written when the work is saved. Waiting messages are stored separately (`waiting_messages`).
"""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from functools import partial
from typing import Any

from optio_agents.context import SYSTEM_MESSAGE_PREFIX
from optio_agents.protocol.prompt import RESUME_NOTICE
from optio_agents.task import saved
from optio_agents.task.outage import outlast_outage
from optio_agents.todos.publisher import Publisher

SESSION_BLOB = "agent-session"
TRANSCRIPT_BLOB = "agent-transcript"

EVENTS_KEPT = 1000
EVENTS_BYTES = 4 * 1024 * 1024
"""The number of newest events that are kept for the view of a suspended task."""

WITHOUT_SESSION = (
    f"{SYSTEM_MESSAGE_PREFIX}{RESUME_NOTICE}, but your earlier conversation could not be resumed ({{trouble}}). The "
    "working directory is as you left it: check what is there before you continue. This was your task:\n\n{prompt}"
)


class Transcript:
    """The newest events of a conversation, numbered from 1, within bounds."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, dict[str, Any], str]] = deque()
        self._bytes = 0
        self._last = 0

    def add(self, event: dict[str, Any], number: int | None = None) -> None:
        """Append one.

        Parts of an unfinished text are left out, because the whole text follows. The agent's requests are left out
        because a view would show them as open, and the process that waited for an answer has ended.
        """
        if event.get("type") in ("stream_event", "control_request") or {"id", "method"} <= event.keys():
            return
        text = json.dumps(event, default=repr)
        self._last = self._last + 1 if number is None else number
        self._events.append((self._last, event, text))
        self._bytes += len(text)
        while len(self._events) > EVENTS_KEPT or self._bytes > EVENTS_BYTES:
            self._bytes -= len(self._events.popleft()[2])

    def events(self) -> list[dict[str, Any]]:
        """The events, the oldest first."""
        return [event for _, event, _ in self._events]

    def to_json(self, captured_at: datetime) -> bytes:
        """What optio-core's `read_conversation` returns: `[number, event]` each, the oldest first, and the time."""
        entries = ",".join(f"[{number},{text}]" for number, _, text in self._events)
        return f'{{"events":[{entries}],"capturedAt":"{captured_at.isoformat()}"}}'.encode()


class ConversationMemory:
    """What one run knows of the previous run's conversation, and keeps for the next run.

    Args:
        ctx: the process context.

    Attributes:
        session: the agent's own id of the conversation, with which a later process resumes it.
        prompted: whether the agent has got its first message.
        resumed: whether this run resumes an earlier one.
        continues: whether the agent was started so that it resumes its session.
        trouble: why it was not.
        transcript: the newest events, those of earlier runs included.
    """

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx
        self._writer = Publisher(self._write_session, "session of the agent")
        self._transcript_writer = Publisher(self._write_transcript, "transcript")
        self.session: str | None = None
        self.prompted = False
        self.resumed = False
        self.continues = False
        self.trouble = "no conversation was kept"
        self.transcript = Transcript()

    async def load(self) -> None:
        """Load what the previous run has kept."""
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
        """Whether there is a session to resume in which the agent got its task."""
        return self.resumed and self.prompted and self.session is not None

    def first_words(self, prompt: str) -> str:
        """The first message to the agent in this run."""
        if not self.resumed:
            return prompt
        if self.continues:
            return SYSTEM_MESSAGE_PREFIX + RESUME_NOTICE
        return WITHOUT_SESSION.format(trouble=self.trouble, prompt=prompt)

    def note(self, session: str | None, *, prompted: bool) -> None:
        """Note the session and whether the agent was prompted, and write that to the database if it is new."""
        before = self.session, self.prompted
        self.session = session or self.session
        self.prompted = self.prompted or prompted
        if before != (self.session, self.prompted):
            self._writer.changed()

    async def save(self) -> None:
        """Write everything: the run is being saved."""
        await self.settle()
        await self._write_transcript()

    def turn_ended(self) -> None:
        """Have the transcript written: a worker that is killed later loses nothing of it."""
        self._transcript_writer.changed()

    async def settle(self) -> None:
        """Wait until the session and the transcript of the last turn are written."""
        await self._writer.settle()
        await self._transcript_writer.settle()

    async def _write_transcript(self) -> None:
        content = self.transcript.to_json(datetime.now(UTC))
        await outlast_outage(partial(saved.write_only, self._ctx, TRANSCRIPT_BLOB, content))

    async def _write_session(self) -> None:
        kept = {"session": self.session, "prompted": self.prompted}
        content = json.dumps(kept).encode()
        await outlast_outage(partial(saved.write_only, self._ctx, SESSION_BLOB, content))


async def read_conversation(ctx: Any) -> dict[str, Any] | None:
    """The transcript of a suspended task's conversation: `TaskInstance.read_conversation`."""
    content = await saved.read_newest(ctx, TRANSCRIPT_BLOB)
    return None if content is None else dict(json.loads(content))
