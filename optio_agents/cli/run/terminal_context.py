"""Replaces optio's process context when a session runs at a terminal."""

from __future__ import annotations

import asyncio
from typing import Any

import trio


class TerminalContext:
    """The least that a session needs of a ctx.

    What the agent asks of a dashboard is shown by the session's observer, so the calls themselves do nothing.

    Attributes:
        cancellation_flag: set it to end the session; an event of the world that awaits the session.
    """

    def __init__(self, cancellation_flag: trio.Event | asyncio.Event) -> None:
        self.cancellation_flag = cancellation_flag

    def should_continue(self) -> bool:
        """False after the session was asked to end."""
        return not self.cancellation_flag.is_set()

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        """Shown by the observer."""

    async def request_browser_open(self, url: str) -> None:
        """Shown by the observer: a terminal opens no browser on an agent's word."""

    async def need_attention(self, reason: str) -> None:
        """Shown by the observer."""

    async def client_message(self, keyword: str, data: Any) -> None:
        """Shown by the observer."""
