"""Updates out of the events of our own conversations."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.todos import TodoItem, TodoUpdate
from optio_agents.todos.backends import extract_todo


def claude(*blocks: Any, parent: str | None = None) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": list(blocks)}, "parent_tool_use_id": parent}


def call(text: str, name: str = "TodoWrite") -> dict[str, Any]:
    return {
        "type": "tool_use",
        "name": name,
        "input": {"todos": [{"content": text, "status": "in_progress"}]},
    }


def one(text: str, status: str = "in_progress", source: str = "tool") -> TodoUpdate:
    return TodoUpdate([TodoItem("", text, status)], merge=False, source=source)


@pytest.mark.parametrize(
    ("event", "update"),
    [
        (claude({"type": "text", "text": "x"}, call("a")), one("a")),
        (claude(call("a"), call("b")), TodoUpdate([], merge=False, steps=(one("a"), one("b")))),
        (claude(call("a", name="Bash")), None),
        (claude(call("a"), parent="toolu_1"), None),
        (claude({"type": "tool_use", "name": "TodoWrite", "input": "{"}, None, 5), None),
        ({"type": "assistant", "message": None}, None),
        (
            {"method": "turn/plan/updated", "params": {"plan": [{"step": "a", "status": "inProgress"}]}},
            one("a"),
        ),
        (
            {"method": "turn/plan/updated", "params": {"plan": [{"step": "a", "status": "completed"}]}},
            one("a", "completed"),
        ),
        ({"method": "turn/plan/updated", "params": {"delta": "text"}}, None),
        ({"method": "turn/plan/updated", "params": None}, None),
        (
            {
                "method": "session/update",
                "params": {
                    "update": {
                        "sessionUpdate": "plan",
                        "entries": [{"content": "a", "status": "in_progress"}],
                    }
                },
            },
            one("a", source="plan"),
        ),
        ({"type": "x-optio-closed"}, None),
        ({}, None),
    ],
)
def test_events(event: dict[str, Any], update: TodoUpdate | None) -> None:
    assert extract_todo(event) == update
