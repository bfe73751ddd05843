"""Updates out of what agents write."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.todos import (
    TODO_TOOL_NAMES,
    TodoItem,
    TodoUpdate,
    extract_acp_todo,
    normalize_tool_name,
    todo_update_from_payload,
)


@pytest.mark.parametrize("name", ["TodoWrite", "todo_write", "WriteTodo", "TODOWRITE"])
def test_names_of_todo_tools(name: str) -> None:
    assert normalize_tool_name(name) in TODO_TOOL_NAMES


@pytest.mark.parametrize(
    ("payload", "update"),
    [
        ({"todos": []}, TodoUpdate([], merge=False)),
        (
            {"todos": [{"content": "a", "status": "done"}]},
            TodoUpdate([TodoItem("", "a", "done")], merge=False),
        ),
        (
            {"todos": [{"text": "a", "id": "1", "activeForm": "A", "status": "completed"}], "merge": True},
            TodoUpdate([TodoItem("1", "a", "completed", "A")], merge=True),
        ),
        (
            {
                "todos": [
                    {"content": "a", "id": 5, "status": None, "_meta": {"cancelled": True}, "active": "A"}
                ]
            },
            TodoUpdate([TodoItem("", "a", "cancelled", "A")], merge=False),
        ),
        (
            {"plan": [{"step": "s", "status": "completed"}, {"text": "t"}, {"content": "c"}]},
            TodoUpdate(
                [TodoItem("", "s", "completed"), TodoItem("", "t", "pending"), TodoItem("", "c", "pending")],
                merge=False,
            ),
        ),
        ({"todos": "x"}, None),
        ({"todos": [1]}, None),
        ({"todos": [{"status": "pending"}]}, None),
        ({"todos": [{"content": 1}]}, None),
        ({}, None),
    ],
)
def test_arguments_of_todo_tools(payload: dict[str, Any], update: TodoUpdate | None) -> None:
    assert todo_update_from_payload(payload) == update


def acp(**update: Any) -> dict[str, Any]:
    return {"method": "session/update", "params": {"update": update}}


ARGUMENTS = {"todos": [{"content": "a"}]}
CALLED = TodoUpdate([TodoItem("", "a", "pending")], merge=False)


@pytest.mark.parametrize(
    ("event", "update"),
    [
        (
            acp(sessionUpdate="plan", entries=[{"content": "a", "status": "in_progress", "id": "1"}]),
            TodoUpdate([TodoItem("1", "a", "in_progress")], merge=False, source="plan"),
        ),
        (acp(sessionUpdate="plan", entries=[{"status": "x"}]), None),
        (acp(sessionUpdate="plan", entries={}), None),
        (acp(sessionUpdate="tool_call", title="TodoWrite", rawInput=ARGUMENTS), CALLED),
        (acp(sessionUpdate="tool_call_update", kind="todo_write", rawInput=ARGUMENTS), CALLED),
        (acp(sessionUpdate="tool_call", rawInput={**ARGUMENTS, "variant": "TodoWrite"}), CALLED),
        (
            acp(sessionUpdate="tool_call", _meta={"x.ai/tool": {"name": "todo_write"}}, rawInput=ARGUMENTS),
            CALLED,
        ),
        (acp(sessionUpdate="tool_call", title="TodoWrite", rawInput='{"todos":'), None),
        (acp(sessionUpdate="tool_call", title="Bash", rawInput=ARGUMENTS), None),
        (acp(sessionUpdate="agent_message_chunk"), None),
        ({"params": None}, None),
        ({"params": {"update": "x"}}, None),
        ({}, None),
    ],
)
def test_events_of_the_agent_client_protocol(event: dict[str, Any], update: TodoUpdate | None) -> None:
    assert extract_acp_todo(event) == update
