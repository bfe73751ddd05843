"""The real Claude Code behind the routes: a message, a permission, what the dashboard reads of them."""

from __future__ import annotations

import json

import pytest
import trio

from optio_agents.conversation.agents import REPLAY_FLAG
from optio_agents.web.feed import ConversationFeed
from optio_agents.web.view import web_view
from tests.support.agent_lab import HANG_GUARD, Lab
from tests.web.lab import Client

pytestmark = [
    pytest.mark.agents,
    # httpx leaves the generators beneath a stream to the garbage collector.
    pytest.mark.filterwarnings("ignore:Async generator 'http(x|core)"),
]


async def test_a_message_and_a_permission(lab: Lab) -> None:
    call = json.dumps({"command": "touch made", "description": "d"})
    with trio.fail_after(HANG_GUARD):
        async with (
            lab.talk("claude", arguments=[REPLAY_FLAG]) as conversation,
            web_view(ConversationFeed(conversation)) as view,
        ):
            viewer = Client(view, conversation)
            async with viewer.http, viewer.events() as events:
                await viewer.post("send", {"text": f"[[tool Bash {call}]]"})
                await events.until("user", isReplay=True)
                asked = await events.until("control_request")
                body = {"request_id": asked["request_id"], "behavior": "allow"}
                assert await viewer.post("permission", body) == (200, {"ok": True})
                await events.until("result", is_error=False)
            assert (lab.workdir / "made").exists()
