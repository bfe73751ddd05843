"""Replies on their way to the sender: put down from a synchronous callback, in order, none lost."""

from __future__ import annotations

import actors


class Outbox:
    """Hands messages to the sender at once while its mailbox has room; the rest waits for `flush`.

    Results of user code arrive in a synchronous callback, which cannot wait for a full mailbox.
    """

    def __init__(self, sender: actors.Ref[str]) -> None:
        self._sender = sender
        self._waiting: list[str] = []

    def put(self, message: str) -> None:
        """Send now, or keep it. Never blocks."""
        if not self._waiting:
            try:
                self._sender.try_tell(message)
            except actors.MailboxFull:
                pass
            else:
                return
        self._waiting.append(message)

    async def flush(self) -> None:
        """Wait until everything has been handed over."""
        while self._waiting:
            await self._sender.tell(self._waiting[0])
            del self._waiting[0]
