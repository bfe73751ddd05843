"""A process context for runs of agent tasks without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Blob:
    """What a run writes into one blob."""

    def __init__(self, name: str) -> None:
        self.file_id = name
        self.content = b""

    async def write(self, data: bytes) -> None:
        self.content += data


class TaskCtx:
    """Records what a run asks of it."""

    def __init__(self, process_id: str = "task", *, resume: bool = False) -> None:
        self.process_id = process_id
        self.resume = resume
        self.cancellation_flag = asyncio.Event()
        self.said: list[str] = []
        self.calls: list[tuple[Any, ...]] = []
        self.blobs: dict[str, bytes] = {}

    def should_continue(self) -> bool:
        return not self.cancellation_flag.is_set()

    def report_progress(self, percent: float | None, message: str | None = None, **more: Any) -> None:
        if message is not None:
            self.said.append(message)

    async def need_attention(self, reason: str) -> None:
        self.calls.append(("attention", reason))

    async def request_browser_open(self, url: str) -> None:
        self.calls.append(("browser", url))

    async def client_message(self, keyword: str, data: Any) -> None:
        self.calls.append((keyword, data))

    @asynccontextmanager
    async def store_blob(self, name: str, file_id: Any = None) -> AsyncIterator[Blob]:
        blob = Blob(name)
        yield blob
        self.blobs[name] = blob.content
