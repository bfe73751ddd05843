"""Replaces optio's process context when a session runs at a terminal."""

from __future__ import annotations

import asyncio
from typing import Any

import trio


class TerminalContext:
    """The smallest ctx that a session accepts.

    The session's observer shows what the agent asks of a dashboard, so the calls themselves do nothing.

    Attributes:
        cancellation_flag: set it to end the session; an event of the loop that awaits the session.
    """

    def __init__(self, cancellation_flag: trio.Event | asyncio.Event) -> None:
        self.cancellation_flag = cancellation_flag

    def should_continue(self) -> bool:
        """False after cancellation was requested."""
        return not self.cancellation_flag.is_set()

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        """Shown by the observer."""

    async def request_browser_open(self, url: str) -> None:
        """Shown by the observer: no browser is opened for an agent."""

    async def need_attention(self, reason: str) -> None:
        """Shown by the observer."""

    async def client_message(self, keyword: str, data: Any) -> None:
        """Shown by the observer."""
