"""Checklist updates from the events of this package's conversations, with any agent.

Claude Code calls its tool `TodoWrite`. Codex sends `turn/plan/updated` notifications when its own tool is used. Agents
of the Agent Client Protocol send plans or call a todo tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from optio_agents.todos.items import TodoItem, TodoUpdate
from optio_agents.todos.payloads import (
    TODO_TOOL_NAMES,
    extract_acp_todo,
    normalize_tool_name,
    todo_update_from_payload,
)

_CODEX_STATUSES = {"inProgress": "in_progress"}


def extract_todo(event: Mapping[str, Any]) -> TodoUpdate | None:
    """The update in an event of any of our conversations; `None` if it has none."""
    if event.get("type") == "assistant":
        return _claude(event)
    if event.get("method") == "turn/plan/updated":
        return _codex(event)
    return extract_acp_todo(event)


def _claude(event: Mapping[str, Any]) -> TodoUpdate | None:
    if event.get("parent_tool_use_id") is not None:
        return None  # a subagent has a list of its own
    updates = [todo_update_from_payload(arguments) for arguments in _todo_calls(event.get("message"))]
    known = [update for update in updates if update is not None]
    if len(known) > 1:
        return TodoUpdate([], merge=False, steps=tuple(known))
    return known[0] if known else None


def _todo_calls(message: Any) -> Iterator[Mapping[str, Any]]:
    content = message.get("content") if isinstance(message, Mapping) else None
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, Mapping) or block.get("type") != "tool_use":
            continue
        name, arguments = block.get("name"), block.get("input")
        if (
            isinstance(name, str)
            and isinstance(arguments, Mapping)
            and normalize_tool_name(name) in TODO_TOOL_NAMES
        ):
            yield arguments


def _codex(event: Mapping[str, Any]) -> TodoUpdate | None:
    params = event.get("params")
    plan = params.get("plan") if isinstance(params, Mapping) else None
    update = todo_update_from_payload({"plan": plan})
    if update is None:
        return None
    rows = [TodoItem(row.id, row.text, _CODEX_STATUSES.get(row.status, row.status)) for row in update.items]
    return TodoUpdate(rows, merge=False)
