"""Replies for the sender: queued from a synchronous callback, in order, none lost."""

from __future__ import annotations

import actors
from optio_agents.session.recorder import Recorder


class ReplyQueue:
    """Passes messages to the sender at once while its mailbox has room; the rest waits for `flush`.

    Results of user code arrive in a synchronous callback, which cannot wait for a full mailbox. After the sender has
    ended (the session is ending, and user code was slow), messages are dropped and stay counted as unsaid.
    """

    def __init__(self, sender: actors.Ref[str], recorder: Recorder) -> None:
        self._sender = sender
        self._recorder = recorder
        self._waiting: list[str] = []

    def put(self, message: str) -> None:
        """Send now, or keep it. Never blocks."""
        self._recorder.unsaid += 1
        if not self._waiting:
            try:
                self._sender.try_tell(message)
            except actors.MailboxFull:
                pass
            except actors.ActorStopped:
                return
            else:
                return
        self._waiting.append(message)

    async def flush(self) -> None:
        """Wait until the sender has every message."""
        while self._waiting:
            try:
                await self._sender.tell(self._waiting[0])
            except actors.ActorStopped:
                self._waiting.clear()
                return
            del self._waiting[0]
