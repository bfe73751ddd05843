"""The real Claude Code says the messages again that it takes up, and its turns are counted as without that."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from optio_agents.conversation.agents import REPLAY_FLAG
from tests.support.agent_lab import HANG_GUARD, Lab

pytestmark = pytest.mark.agents


async def test_messages_are_events(lab: Lab) -> None:
    replayed: list[Any] = []
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude", arguments=[REPLAY_FLAG]) as conversation:

            def note(event: dict[str, Any]) -> None:
                if event.get("type") == "user" and event.get("isReplay"):
                    replayed.append(str(event["message"]["content"]))

            conversation.on_event(note)
            for words in ("one", "two"):
                assert (await conversation.ask(f"[[say {words}]]")).text.strip() == words
    assert ["[[say one]]" in replayed[0], "[[say two]]" in replayed[1], len(replayed)] == [True, True, 2]
