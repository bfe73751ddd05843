"""A scripted agent's conversation behind a listener, and a client of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from optio_agents.conversation import AgentConversation, open_conversation
from optio_agents.web.feed import ConversationFeed
from optio_agents.web.view import WebView, web_view
from tests.conversation.scripted import AGENT, HANG_GUARD


class Client:
    """A viewer. `post` and `get` show the secret."""

    def __init__(self, view: WebView, conversation: AgentConversation) -> None:
        self.view = view
        self.conversation = conversation
        self.http = httpx.AsyncClient(
            base_url=view.url, auth=("optio", view.access.secret), timeout=HANG_GUARD
        )

    async def post(self, route: str, body: Any) -> tuple[int, dict[str, Any]]:
        answer = await self.http.post(route, json=body)
        return answer.status_code, answer.json()

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self.http.get("state")).json()
        return state

    @asynccontextmanager
    async def events(self, after: int | None = None) -> AsyncIterator[Events]:
        headers = {} if after is None else {"last-event-id": str(after)}
        async with self.http.stream("GET", "events", headers=headers) as answer:
            assert answer.status_code == 200
            yield Events(answer)


class Events:
    """The events of one stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()
        self.number = 0
        self.seen: list[dict[str, Any]] = []

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The name and the data of the next event; pings are passed over."""
        name, data = "message", None
        async for line in self._lines:
            if line.startswith("id: "):
                self.number = int(line[4:])
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif not line and data is not None:
                self.seen.append(data)
                return name, data
        raise EOFError

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event whose `type` or `method` is `kind`, and that has these fields."""
        while True:
            _, data = await self.next()
            if kind in (data.get("type"), data.get("method")) and fields.items() <= data.items():
                return data

    async def text(self, wanted: str) -> None:
        """Wait until the agent has said `wanted`."""
        said = ""
        while wanted not in said:
            event = await self.until("session/update")
            said += event["params"]["update"].get("content", {}).get("text", "")


@asynccontextmanager
async def client(tmp_path: Path, **feed: Any) -> AsyncIterator[Client]:
    """A viewer of a fresh conversation. `feed`: further arguments of its `ConversationFeed`."""
    with trio.fail_after(HANG_GUARD):
        async with (
            open_conversation(AGENT, workdir=str(tmp_path)) as conversation,
            web_view(ConversationFeed(conversation, **feed), directory=str(tmp_path)) as view,
        ):
            one = Client(view, conversation)
            async with one.http:
                yield one
